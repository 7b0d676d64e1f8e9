# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch, import and remove model sets, and let the engine examine itself, from the preferences."""

import bpy

from .. import ids, preferences
from ..client import ClientError
from ..languages import iface_, told
from ..session import session
from .generate import no_engine

DIALOG_WIDTH = 460


def _models(*arguments):
    return ["--models", str(preferences.data() / "models"), *arguments]


def listed(name):
    """What the engine's list says of a model set; None when it has not been asked or does not know it."""
    return next((entry for entry in session.models or () if entry.get("set") == name), None)


class _Task(bpy.types.Operator):
    """Begins a command of the engine."""

    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, _context):
        reason = iface_("Wait until what runs is done") if session.task is not None else no_engine()
        if reason:
            cls.poll_message_set(told(reason))
        return not reason

    def begin(self, name, arguments):
        """Start it, or say why not."""
        try:
            session.begin(name, arguments)
        except ClientError as error:
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_list_models(_Task):
    bl_idname = ids.OP_LIST_MODELS
    bl_label = "Look for Models"
    bl_description = "See which models are on this computer"

    def execute(self, _context):
        return self.begin("models", _models("list"))


class ESPALIER_OT_download_model(_Task):
    bl_idname = ids.OP_DOWNLOAD_MODEL
    bl_label = "Download"
    bl_description = "Fetch this model, after showing its licence. A download that was cut goes on where it stopped"

    model: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    agreed: bpy.props.BoolProperty(
        name="I agree to these licences", description="Without it nothing is fetched", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if not bpy.app.online_access:
            cls.poll_message_set(iface_("Blender may not go online: allow it in Preferences, System, Network"))
            return False
        return super().poll(context)

    def _names(self):
        """The model and what it does not run without, as far as that is not here."""
        entry = listed(self.model) or {}
        needed = [name for name in entry.get("needs", ()) if (listed(name) or {}).get("state") != "ready"]
        return [self.model, *needed]

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH)

    def draw(self, context):
        from ..ui.text import MARGIN, break_lines, megabytes

        # The region is still that of the preferences, which is wider than this dialog.
        scale = context.preferences.system.ui_scale
        for name in self._names():
            entry = listed(name) or {}
            size = entry.get("size", 0) - entry.get("downloaded", 0)
            self.layout.label(text=f"{name}, {megabytes(size)}" if size > 0 else name, icon="IMPORT", translate=False)
            terms = {(part["licence"], part["terms"]) for part in entry.get("repositories", ())}
            for licence, text in sorted(terms):
                column = self.layout.column(align=True)
                column.scale_y = 0.8
                for line in break_lines(f"{licence}: {told(text)}", (DIALOG_WIDTH - MARGIN) * scale, scale):
                    column.label(text=line, icon="BLANK1", translate=False)
        self.layout.prop(self, "agreed")

    def execute(self, _context):
        if not self.agreed:
            self.report({"ERROR"}, "Nothing was fetched: agree to the licences first.")
            return {"CANCELLED"}
        return self.begin("models", _models("download", "--online", "--accept-licence", "--", *self._names()))


class ESPALIER_OT_import_model(_Task):
    bl_idname = ids.OP_IMPORT_MODEL
    bl_label = "Import from Folder"
    bl_description = "Take models from a folder that was copied here, and check every file"

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, _context):
        return self.begin("models", _models("import", "--", bpy.path.abspath(self.directory)))


class ESPALIER_OT_remove_model(_Task):
    bl_idname = ids.OP_REMOVE_MODEL
    bl_label = "Remove Model"
    bl_description = "Delete the files of this model from the data folder"

    model: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, event):
        from ..ui.text import megabytes

        size = (listed(self.model) or {}).get("size", 0)
        return context.window_manager.invoke_confirm(
            self, event, title="Remove Model", message=f"{self.model}, {megabytes(size)}", confirm_text="Remove"
        )

    def execute(self, _context):
        return self.begin("models", _models("remove", "--", self.model))


class ESPALIER_OT_self_test(_Task):
    bl_idname = ids.OP_SELF_TEST
    bl_label = "Run Self-Test"
    bl_description = "Let the engine look at this computer, its packages and models, and make a small object"

    def execute(self, _context):
        trellis2 = preferences.trellis2_folder()
        given = ["--data", str(preferences.data()), *(["--trellis2", str(trellis2)] if trellis2 else [])]
        session.findings = []
        return self.begin("doctor", given)


class ESPALIER_OT_cancel_task(bpy.types.Operator):
    bl_idname = ids.OP_CANCEL_TASK
    bl_label = "Cancel"
    bl_description = "Stop this. What was downloaded is kept"
    bl_options = {"INTERNAL"}

    def execute(self, _context):
        if session.task is not None:
            session.task.cancel()
        return {"FINISHED"}
