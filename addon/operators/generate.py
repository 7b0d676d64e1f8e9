# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a generation from the chosen image, or start a failed one again."""

import bpy

from .. import ids, preferences, sampling_settings
from ..client import ClientError
from ..finish_settings import asked
from ..languages import iface_, told
from ..memory_plan import too_big
from ..orders import next_in_row, order_here, order_of
from ..request import KINDS, MAX_SEED, STARTER, TRELLIS2, make_request, new_seed, object_name
from ..session import session


def no_engine():
    """Why no job can be started, as a sentence; "" when one can."""
    if session.install is not None:
        return "The engine is being installed"
    try:
        if preferences.engine_python() is None:
            return "There is no engine yet: press Install Engine"
    except ClientError as error:
        return told(error.sentence).rstrip(".")
    return ""


def why_not(scene):
    """Why Generate cannot be pressed, as a sentence; "" when it can."""
    reason = no_engine()
    if reason:
        return reason
    if scene.espalier.image is None:
        return "Choose or open an image first"
    return no_model(scene, scene.espalier.mode.lower())


def no_model(scene, kind):
    """Why the chosen model cannot be used for a job of ``kind``, as a sentence; "" when it can."""
    if scene.espalier.model != "TRELLIS2":
        return ""
    if preferences.trellis2_folder() is None:
        return "The weights of TRELLIS.2-4B are not on this computer: download them, or name their folder"
    return too_big(kind, scene.espalier.quality, sampling_settings.in_8_bits(scene.espalier.sampling))


class InObjectMode:
    """For operators that put an object into the scene."""

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set(iface_("Return to Object Mode first"))
            return False
        return True


class WithEngine:
    """For operators that order a job of what is there already."""

    @classmethod
    def poll(cls, _context):
        reason = no_engine()
        if reason:
            cls.poll_message_set(told(reason))
        return not reason


class ESPALIER_OT_generate(bpy.types.Operator):
    bl_idname = ids.OP_GENERATE
    bl_label = "Generate"
    bl_description = (
        "Make a 3D object of the image. Blender stays usable meanwhile; the object appears at the 3D cursor"
    )

    @classmethod
    def poll(cls, context):
        reason = why_not(context.scene)
        if reason:
            cls.poll_message_set(told(reason))
        return not reason

    def execute(self, context):
        from ..scene.pixels import BadImage, source_of

        settings = context.scene.espalier
        try:
            source, suffix = source_of(settings.image)
            if not settings.lock_seed:
                settings.seed = new_seed()
            request, order = generation(settings, settings.image.name), order_here(context)
            for number in range(settings.variants):
                seed = (settings.seed + number) % (MAX_SEED + 1)
                session.submit(source, suffix, {**request, "seed": seed}, order)
                order = next_in_row(order)
        except BadImage as error:
            self.report({"ERROR"}, told(str(error)))
            return {"CANCELLED"}
        except ClientError as error:
            session.tell(error.problem)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_retry(bpy.types.Operator):
    bl_idname = ids.OP_RETRY
    bl_label = "Retry"
    bl_description = "Run the failed job again, with the same image, seed and settings"
    bl_options = {"INTERNAL"}

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        try:
            queue = session.connect()
            stored = queue.store.read(queue.store.folder / self.job)
            obstacle = session.obstacle(stored) if stored.request else "This job is no longer on this computer."
            if obstacle:
                self.report({"WARNING"}, told(obstacle))
                return {"CANCELLED"}
            session.orders.setdefault(self.job, order_of(context, stored.request))
            queue.add(stored)
            if session.shelf is not None:
                session.shelf.touch(self.job)
        except ClientError as error:
            session.tell(error.problem, self.job)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        session.message = None
        return {"FINISHED"}


def generation(settings, image_name):
    """The request of a generation from the image of this name, with what the panel says."""
    request = make_request(
        name=object_name(image_name),
        image_name=image_name,
        **{**choices(settings, "generate"), **asked(settings.finish)},
    )
    return {**request, "live": preferences.live_preview()}


def model_and_quality(settings, kind):
    """The model set and the quality of it that the panel asks for, as a request of ``kind`` names them."""
    return (STARTER, STARTER) if settings.model == "STARTER" else (TRELLIS2, KINDS[kind][settings.quality])


def choices(settings, kind):
    """What a request of ``kind`` ("generate", "texture") takes from the panel, whichever it is."""
    model, quality = model_and_quality(settings, kind)
    return {
        "seed": settings.seed,
        "model": model,
        "model_path": None if model == STARTER else preferences.trellis2_folder(),
        "quality": quality,
        "samplers": sampling_settings.asked(settings.sampling, kind),
        "fast": settings.sampling.fast,
        "int8": settings.sampling.int8,
        "fp8": settings.sampling.fp8,
        "texture_size": int(settings.finish.texture_size),
        "matting": settings.matting.lower(),
        "models_folder": preferences.data() / "models",
    }
