# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender gets to know of us, in the order in which it has to be registered."""

import atexit
from pathlib import Path

import bpy

from . import (
    cli,
    compat,
    finish_settings,
    ids,
    languages,
    preferences,
    properties,
    pump,
    results,
    sampling_settings,
    session,
)
from .operators import (
    apply_texture,
    build_result,
    cancel,
    engine,
    finish_again,
    from_files,
    generate,
    install_engine,
    keep_preview,
    logs,
    make_visible,
    models,
    open_image,
    presets,
    queue,
    report,
    take_image,
    texture,
)
from .operators import results as result_operators
from .ui import advanced_panel, file_handlers, finish_panel, image_editor, jobs, menus, panels, thumbnails

CLASSES = (
    preferences.EspalierPreferences,
    finish_settings.ESPALIER_PG_finish,
    sampling_settings.ESPALIER_PG_sampler,
    sampling_settings.ESPALIER_PG_sampling,
    properties.ESPALIER_PG_settings,
    results.ESPALIER_PG_result,
    generate.ESPALIER_OT_generate,
    generate.ESPALIER_OT_retry,
    texture.ESPALIER_OT_texture,
    cancel.ESPALIER_OT_cancel,
    keep_preview.ESPALIER_OT_keep_preview,
    build_result.ESPALIER_OT_build_result,
    make_visible.ESPALIER_OT_show_textures,
    make_visible.ESPALIER_OT_hide_object,
    apply_texture.ESPALIER_OT_apply_texture,
    finish_again.ESPALIER_OT_finish_again,
    finish_again.ESPALIER_OT_take_settings,
    finish_again.ESPALIER_OT_replace_result,
    presets.ESPALIER_OT_add_finish_preset,
    presets.ESPALIER_OT_add_sampling_preset,
    open_image.ESPALIER_OT_open_image,
    from_files.ESPALIER_OT_from_files,
    from_files.ESPALIER_OT_texture_dropped,
    take_image.ESPALIER_OT_paste_image,
    take_image.ESPALIER_OT_grab_view,
    take_image.ESPALIER_OT_use_image,
    install_engine.ESPALIER_OT_install_engine,
    install_engine.ESPALIER_OT_cancel_install,
    engine.ESPALIER_OT_free_memory,
    engine.ESPALIER_OT_stop_engine,
    engine.ESPALIER_OT_restart_engine,
    models.ESPALIER_OT_list_models,
    models.ESPALIER_OT_download_model,
    models.ESPALIER_OT_import_model,
    models.ESPALIER_OT_remove_model,
    models.ESPALIER_OT_self_test,
    models.ESPALIER_OT_cancel_task,
    logs.ESPALIER_OT_open_log,
    logs.ESPALIER_OT_dismiss,
    logs.ESPALIER_OT_open_preferences,
    report.ESPALIER_OT_copy_report,
    finish_panel.ESPALIER_PT_finish_presets,
    advanced_panel.ESPALIER_PT_sampling_presets,
    queue.ESPALIER_OT_queue_hold,
    queue.ESPALIER_OT_queue_clear,
    queue.ESPALIER_OT_queue_move,
    queue.ESPALIER_OT_queue_remove,
    queue.ESPALIER_OT_queue_earlier,
    queue.ESPALIER_OT_discard_earlier,
    result_operators.ESPALIER_OT_place_result,
    result_operators.ESPALIER_OT_leave_result,
    result_operators.ESPALIER_OT_finish_result,
    result_operators.ESPALIER_OT_variants,
    result_operators.ESPALIER_OT_recall,
    result_operators.ESPALIER_OT_show_folder,
    result_operators.ESPALIER_OT_delete_result,
    result_operators.ESPALIER_OT_delete_oldest,
    jobs.ESPALIER_UL_results,
    panels.ESPALIER_PT_main,
    image_editor.ESPALIER_PT_image_editor,
    file_handlers.ESPALIER_FH_generate,
    file_handlers.ESPALIER_FH_texture,
)

# presets/ is in it.
FOLDER = str(Path(__file__).parent)

_commands = []


def register():
    """Register everything; nothing is started and no file is read."""
    languages.register()
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.attach()
    results.attach()
    compat.register_presets(FOLDER)
    menus.attach()
    _commands.append(bpy.utils.register_cli_command(ids.CLI_COMMAND, cli.main))
    bpy.app.handlers.load_post.append(session.after_load)
    bpy.app.handlers.render_init.append(session.before_render)
    if compat.exit_handlers() is not None:
        compat.exit_handlers().append(_on_exit)
    atexit.register(session.close)
    pump.start()


def unregister():
    """Undo ``register``; the engine has stopped when this returns."""
    pump.stop()
    session.close()
    atexit.unregister(session.close)
    if compat.exit_handlers() is not None:
        compat.exit_handlers().remove(_on_exit)
    bpy.app.handlers.render_init.remove(session.before_render)
    bpy.app.handlers.load_post.remove(session.after_load)
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    menus.detach()
    thumbnails.forget()
    results.detach()
    compat.unregister_presets(FOLDER)
    properties.detach()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
    languages.unregister()


@bpy.app.handlers.persistent
def _on_exit(*_arguments):
    session.close()
