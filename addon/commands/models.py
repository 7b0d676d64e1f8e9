# SPDX-License-Identifier: GPL-3.0-or-later
"""List, download, verify, import and remove model sets, through the engine."""

from __future__ import annotations

from pathlib import Path

from .. import cli
from .engine_command import EngineCommand


def add_to(commands):
    """Add the command to the command line."""
    models = commands.add_parser("models", help="list, download, verify, import or remove models")
    actions = models.add_subparsers(dest="action", required=True)
    _action(actions, "list", "what there is and what is on this computer")
    download = _action(actions, "download", "fetch models, going on where a cut download stopped")
    download.add_argument("names", nargs="+", metavar="NAME", help="TRELLIS.2-4B, DINOv3, BiRefNet")
    download.add_argument(
        "--accept-licence", action="store_true", help="agree to the licences that this command shows without it"
    )
    download.add_argument(
        "--from",
        dest="source",
        metavar="OWNER/NAME[@REVISION]",
        help="take DINOv3 from another repository, in the original or the timm layout",
    )
    verify = _action(actions, "verify", "check every file of the models that are here")
    verify.add_argument("names", nargs="*", metavar="NAME", help="a model (default: all that are here)")
    bring = _action(actions, "import", "take models from a folder that was copied here, and check them")
    bring.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder with the files of a model")
    remove = _action(actions, "remove", "delete models")
    remove.add_argument("names", nargs="+", metavar="NAME")


def _action(actions, name, text):
    action = actions.add_parser(name, help=text)
    cli.add_common(action)
    action.set_defaults(start=lambda options, reporter: EngineCommand(options, reporter, "models", arguments(options)))
    return action


def arguments(options):
    """The arguments of the engine's command ``models``."""
    import bpy

    from .. import preferences

    given = ["--models", str(preferences.data() / "models"), options.action]
    if options.action == "download":
        if bpy.app.online_access:
            given.append("--online")
        if options.accept_licence:
            given.append("--accept-licence")
        if options.source:
            given += ["--from", options.source]
    named = getattr(options, "names", [])
    if options.action == "import":
        named = [str(folder.absolute()) for folder in options.folders]
    return [*given, "--", *named] if named else given
