# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a result of the list: place it, vary it, take its settings, look at its files, delete it."""

import bpy

from .. import ids, preferences
from ..client import ClientError
from ..finish_settings import asked
from ..history import generation_behind
from ..languages import iface_, reported, rpt_, tip_, told
from ..orders import next_in_row, order_beside, order_here
from ..request import make_refinish_request, new_seed
from ..session import session
from .generate import InObjectMode, WithEngine
from .recall import recall


class _OfResult(bpy.types.Operator):
    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def stored(self):
        """The job, as its folder tells it now; None when it is gone."""
        if session.shelf is None or self.job not in session.shelf.entries:
            return None
        job = session.shelf.store.read(session.shelf.store.folder / self.job)
        return job if job.request else None

    def gone(self):
        """Say that the job is no longer there."""
        if session.shelf is not None:
            session.shelf.touch(self.job)
        self.report({"WARNING"}, "This result is no longer on this computer.")
        return {"CANCELLED"}


class ESPALIER_OT_place_result(InObjectMode, _OfResult):
    bl_idname = ids.OP_PLACE_RESULT
    bl_label = "Place"
    bl_description = "Put the object into the scene, at the 3D cursor"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    @classmethod
    def description(cls, _context, properties):
        entry = session.shelf.entries.get(properties.job) if session.shelf is not None else None
        if entry is not None and entry.job.is_texture:
            return tip_(
                "Put the texture on the object that it was made for, or on a selected mesh with the same faces and UVs"
            )
        return tip_(cls.bl_description)

    def execute(self, context):
        from ..scene.asset import BadResult
        from ..scene.extract import Refused
        from .apply_texture import put_texture
        from .build_result import amount, at_its_place, build

        job = self.stored()
        if job is None:
            return self.gone()
        try:
            if job.id in session.ready:
                operator = session.orders[job.id].operator.partition(".")[2]
                return getattr(bpy.ops.espalier, operator)(job=job.id)
            if job.is_texture:
                text = put_texture(context, job)
            else:
                item, asset, seed = build(context, job, order_here(context))
                text = rpt_("{name}: {made}, seed {seed}", name=item.name, made=amount(asset), seed=seed)
                text = ". ".join([text, *at_its_place(item, context.view_layer)[0]])
        except (BadResult, Refused, RuntimeError) as error:
            # The report of an operator that is called arrives as an exception.
            self.report({"ERROR"}, told(reported(error)))
            return {"CANCELLED"}
        try:
            session.shelf.store.set_state(job.folder, "built")
        except ClientError as error:
            # The object stands; only the note that it does could not be written.
            self.report({"WARNING"}, told(error.sentence))
        session.shelf.touch(job.id)
        self.report({"INFO"}, text)
        return {"FINISHED"}


class ESPALIER_OT_finish_result(WithEngine, _OfResult):
    bl_idname = ids.OP_FINISH_RESULT
    bl_label = "Finish Again"
    bl_description = (
        "Make mesh and maps of this result anew with the settings under Finish, as another object beside the one that "
        "stands in the scene"
    )
    bl_options = {"INTERNAL"}

    def execute(self, context):
        job = self.stored()
        if job is None:
            return self.gone()
        made = generation_behind(job)
        if made is None:
            self.report({"ERROR"}, "Its voxels are no longer on this computer. Generate the object again.")
            return {"CANCELLED"}
        settings = asked(context.scene.espalier.finish)
        request = make_refinish_request(job.name, made.folder, made.request, settings, beside=job.id)
        try:
            session.submit(None, "", request, order_beside(context, job.id))
        except ClientError as error:
            session.tell(error.problem)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_variants(WithEngine, _OfResult):
    bl_idname = ids.OP_VARIANTS
    bl_label = "Variants"
    bl_description = "Make more objects of the same image with the same settings and other seeds"
    bl_options = {"INTERNAL"}

    count: bpy.props.IntProperty(name="Variants", description="How many objects are made", default=3, min=1, max=64)

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self, width=220)

    def execute(self, context):
        job = self.stored()
        if job is None:
            return self.gone()
        made = generation_behind(job) or job
        image = made.input
        if made.request.get("kind") != "generate" or image is None:
            self.report({"ERROR"}, "Only what was generated from an image that is still there can be varied.")
            return {"CANCELLED"}
        given = [each.request.get("settings") for each in (made, job)]
        settings = {name: value for each in given if isinstance(each, dict) for name, value in each.items()}
        place = order_beside(context, job.id)
        try:
            for _ in range(self.count):
                request = {**made.request, "seed": new_seed(), "settings": settings}
                session.submit(image, image.suffix, request, place)
                place = next_in_row(place)
        except ClientError as error:
            session.tell(error.problem)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_leave_result(_OfResult):
    bl_idname = ids.OP_LEAVE_RESULT
    bl_label = "Not Now"
    bl_description = "Do not put this result into the open file. It stays in the list of results"
    bl_options = {"INTERNAL"}

    def execute(self, _context):
        if self.job in session.ready:
            session.leave(self.job)
        return {"FINISHED"}


class ESPALIER_OT_recall(_OfResult):
    bl_idname = ids.OP_RECALL
    bl_label = "Use Settings"
    bl_description = "Put the image, seed and settings of this result into the panel"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    def execute(self, context):
        job = self.stored()
        if job is None:
            return self.gone()
        for sentence in recall(context.scene.espalier, generation_behind(job) or job, job):
            self.report({"WARNING"}, told(sentence))
        return {"FINISHED"}


class ESPALIER_OT_show_folder(_OfResult):
    bl_idname = ids.OP_SHOW_FOLDER
    bl_label = "Show Folder"
    bl_description = "Open the folder with everything this job made"
    bl_options = {"INTERNAL"}

    def execute(self, _context):
        job = self.stored()
        if job is None:
            return self.gone()
        bpy.ops.wm.path_open(filepath=str(job.folder))
        self.report({"INFO"}, str(job.folder))
        return {"FINISHED"}


class ESPALIER_OT_delete_result(_OfResult):
    bl_idname = ids.OP_DELETE_RESULT
    bl_label = "Delete Result"
    bl_description = "Delete this job's files. Objects in scenes stay as they are, but can no longer be finished again"
    bl_options = {"INTERNAL"}

    def invoke(self, context, event):
        job = self.stored()
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Delete Result",
            message=iface_("“{name}”. Objects in scenes stay.", name=job.name) if job is not None else "",
            confirm_text="Delete",
        )

    def execute(self, _context):
        if self.stored() is None:
            return self.gone()
        try:
            session.forget(self.job)
        except ClientError as error:
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_delete_oldest(bpy.types.Operator):
    bl_idname = ids.OP_DELETE_OLDEST
    bl_label = "Delete Oldest"
    bl_description = "Delete the oldest results until the rest takes no more room than the preferences allow"
    bl_options = {"INTERNAL"}

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self, width=320)

    def draw(self, _context):
        from ..ui.text import megabytes

        entries = self._chosen()
        size = megabytes(sum(entry.size for entry in entries))
        text = iface_("{count} results are deleted, {size} in all.", count=len(entries), size=size)
        self.layout.label(text=text, translate=False)
        self.layout.label(text="Objects in scenes stay as they are.")

    def execute(self, _context):
        try:
            for entry in self._chosen():
                # One that was taken up again since the list was read stays.
                if not session.obstacle(session.shelf.store.read(entry.job.folder)):
                    session.forget(entry.job.id)
        except ClientError as error:
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}

    @staticmethod
    def _chosen():
        limit = preferences.storage_limit()
        chosen = session.shelf.oldest_over(limit) if session.shelf is not None and limit is not None else []
        return [entry for entry in chosen if entry.job.id not in session.ready]
