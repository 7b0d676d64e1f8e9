# SPDX-License-Identifier: GPL-3.0-or-later
"""Start painting the selected mesh objects from the chosen image: a job for each."""

import bpy

from .. import ids
from ..client import ClientError
from ..languages import told
from ..order import TextureOrder
from ..request import make_texture_request, new_seed
from ..session import session
from .generate import choices, why_not


def targets(context):
    """The selected mesh objects, the active one first; of those that share a mesh only one, for it has one texture."""
    selected = [item for item in context.selected_objects if item.type == "MESH"]
    selected.sort(key=lambda item: item != context.view_layer.objects.active)
    return list({item.data: item for item in reversed(selected)}.values())[::-1]


def why_not_texture(context):
    """Why Texture cannot be pressed, as a sentence; "" when it can."""
    reason = why_not(context.scene)
    if reason:
        return reason
    if context.mode != "OBJECT":
        return "Return to Object Mode first"
    if not targets(context):
        return "Select the mesh objects to texture"
    return ""


class ESPALIER_OT_texture(bpy.types.Operator):
    bl_idname = ids.OP_TEXTURE
    bl_label = "Texture"
    bl_description = (
        "Paint the selected mesh objects after the image, or copies of them. "
        "Shape, UVs and name stay; a new material takes their slots"
    )

    @classmethod
    def poll(cls, context):
        reason = why_not_texture(context)
        if reason:
            cls.poll_message_set(told(reason))
        return not reason

    def execute(self, context):
        from ..scene.extract import Refused
        from ..scene.pixels import BadImage, source_of

        settings = context.scene.espalier
        refused = []
        try:
            source, suffix = source_of(settings.image)
            session.message = None
            if not settings.lock_seed:
                settings.seed = new_seed()
            items = targets(context)
            for item in items:
                try:
                    _submit(context.scene, item, source, suffix)
                except Refused as error:
                    refused.append(str(error))
        except BadImage as error:
            self.report({"ERROR"}, told(str(error)))
            return {"CANCELLED"}
        except ClientError as error:
            session.tell(error.problem)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        for sentence in refused:
            session.refuse(sentence)
        if len(refused) == len(items):
            self.report({"ERROR"}, told(refused[0]))
            return {"CANCELLED"}
        return {"FINISHED"}


def _submit(scene, item, source, suffix):
    from ..scene.extract import extract

    settings = scene.espalier
    subject = extract(item, int(settings.finish.texture_size), settings.texture_on == "COPY")
    request = make_texture_request(
        item.name, settings.image.name, target=subject.target(), **choices(settings, "texture")
    )
    order = TextureOrder(scene.name, item.name, item.session_uid, session.opened, subject.notes)
    session.submit(source, suffix, request, order, subject.files())
