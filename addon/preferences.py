# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's preferences, and the folders and interpreter that follow from them."""

from pathlib import Path

import bpy

from . import ids
from .client import data_folder, find_python

EXTENSION = Path(__file__).resolve().parent.parent
STARTER_FOLDER = EXTENSION / "engine" / "starter" / "weights"
# What the published set says of itself, without its weights.
_RELEASED = EXTENSION / "engine" / "weights" / "released"


class EspalierPreferences(bpy.types.AddonPreferences):
    bl_idname = ids.PACKAGE

    data_folder: bpy.props.StringProperty(
        name="Data Folder",
        description="Where jobs, models and the engine are kept. Empty: one folder per user for all Blender versions",
        subtype="DIR_PATH",
    )
    engine_python: bpy.props.StringProperty(
        name="Engine Python",
        description="A Python of your own that has what the engine needs. Empty: the one that Install Engine made",
        subtype="FILE_PATH",
    )
    trellis2_folder: bpy.props.StringProperty(
        name="TRELLIS.2-4B",
        description="Folder of the published weights (it holds pipeline.json). Empty: models in the data folder",
        subtype="DIR_PATH",
    )

    live_preview: bpy.props.BoolProperty(
        name="Live Preview",
        description="Show in the viewport what is being made: first its voxels, then its shape, then its colours",
        default=True,
    )
    storage_limit: bpy.props.IntProperty(
        name="Keep at Most",
        description="Above this many gigabytes of results the panel offers to delete the oldest; 0 for no limit",
        default=20,
        min=0,
        soft_max=1000,
    )

    idle_minutes: bpy.props.IntProperty(
        name="Stop When Idle",
        description="An engine without work stops after so many minutes and gives its memory back; 0 to let it run",
        default=10,
        min=0,
        soft_max=120,
    )

    def draw(self, context):
        from .ui.preferences_panel import draw_preferences

        draw_preferences(self.layout, context, self)


def get():
    """Return our preferences, or None when the extension runs without being enabled as one (tests, scripts)."""
    addon = bpy.context.preferences.addons.get(ids.PACKAGE)
    return addon.preferences if addon is not None else None


def _path(name):
    preferences = get()
    text = getattr(preferences, name, "") if preferences is not None else ""
    return bpy.path.abspath(text) if text else ""


def data():
    """Return the folder for jobs, models and the managed engine; it need not exist."""
    return data_folder(_path("data_folder"))


def live_preview():
    """Return whether viewports show what is being made."""
    preferences = get()
    return preferences.live_preview if preferences is not None else True


def storage_limit():
    """Return the bytes that results may take before the oldest are offered for deletion; None for no limit."""
    preferences = get()
    gigabytes = preferences.storage_limit if preferences is not None else 20
    return gigabytes * 10**9 or None


def idle_seconds():
    """Return after how many seconds an engine without work is stopped; None for never."""
    preferences = get()
    return 60.0 * (preferences.idle_minutes if preferences is not None else 10) or None


def engine_python():
    """Return the EnginePython to use, or None when there is no engine yet. Raises ClientError for a bad one."""
    return find_python(_path("engine_python"), data(), EXTENSION)


def trellis2_folder():
    """Return the folder of the published weights, or None when they are not on this machine."""
    folder = Path(_path("trellis2_folder") or data() / "models" / "TRELLIS.2-4B")
    return folder if (folder / "pipeline.json").is_file() else None


def described_in(starter):
    """Return the folder that describes the starter or the published set; that of the latter need not hold weights."""
    return STARTER_FOLDER if starter else trellis2_folder() or _RELEASED
