# SPDX-License-Identifier: GPL-3.0-or-later
"""Every identifier that Blender knows us by, each written once."""

# "bl_ext.user_default.espalier" when installed, "espalier" in a checkout.
PACKAGE = __package__.rpartition(".")[0]

CATEGORY = "Espalier"
COLLECTION = "Espalier"
CLI_COMMAND = "espalier"

OP_GENERATE = "espalier.generate"
OP_TEXTURE = "espalier.texture"
OP_RETRY = "espalier.retry"
OP_CANCEL = "espalier.cancel"
OP_BUILD_RESULT = "espalier.build_result"
OP_APPLY_TEXTURE = "espalier.apply_texture"
OP_FINISH_AGAIN = "espalier.finish_again"
OP_REPLACE_RESULT = "espalier.replace_result"
OP_OPEN_IMAGE = "espalier.open_image"
OP_FROM_FILES = "espalier.from_files"
OP_TEXTURE_DROPPED = "espalier.texture_dropped"
OP_PASTE_IMAGE = "espalier.paste_image"
OP_GRAB_VIEW = "espalier.grab_view"
OP_USE_IMAGE = "espalier.use_image"
OP_INSTALL_ENGINE = "espalier.install_engine"
OP_CANCEL_INSTALL = "espalier.cancel_install"
OP_FREE_MEMORY = "espalier.free_memory"
OP_STOP_ENGINE = "espalier.stop_engine"
OP_RESTART_ENGINE = "espalier.restart_engine"
OP_OPEN_LOG = "espalier.open_log"
OP_OPEN_PREFERENCES = "espalier.open_preferences"

PT_MAIN = "ESPALIER_PT_main"
PT_IMAGE_EDITOR = "ESPALIER_PT_image_editor"
SECTION_OUTPUT = "espalier_output"
SECTION_ENGINE = "espalier_engine"

# Custom properties of a generated object: simple values and JSON text, readable without Espalier.
PROP_IMAGE = "espalier_image"
PROP_SEED = "espalier_seed"
PROP_MODEL = "espalier_model"
PROP_SETTINGS = "espalier_settings"
PROP_JOB = "espalier_job"
# Which level of detail an object is, from 1; the object itself has none.
PROP_LOD = "espalier_lod"
# Marks the texture maps of results, so that the image picker does not offer them as input.
PROP_MAP = "espalier_map"
