# SPDX-License-Identifier: GPL-3.0-or-later
"""``engine models``: list, plan, download, verify, import and remove model sets. One JSON object per line on stdout.

Events: ``set`` (list), ``plans`` (plan), ``licence``, ``waiting``, ``present``, ``progress``, ``downloaded``,
``imported``, ``damaged``, ``verified``, ``needs``, ``removed``, ``failed``.
Exit codes: 0 done, 1 failed, 2 some failed, 4 bad input.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import EspalierError
from ..events import say
from ..failure import explain
from .models_folder import ModelsFolder, gigabytes, read_receipt
from .registry import SETS, STARTER, STARTER_FOLDER, PublishedSet, published

DONE, FAILED, SOME_FAILED, BAD_INPUT = 0, 1, 2, 4
_BAD_INPUT = {"bad_input", "bad_request", "licence", "offline"}
OFFLINE = (
    "Blender does not allow the network. Switch on Preferences > System > Network > Allow Online Access, or start "
    "Blender with --online-mode."
)


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    models = ModelsFolder(options.models.absolute())
    try:
        return options.run(options, models)
    except (EspalierError, OSError, MemoryError, ImportError) as error:
        return _fail(error, models)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="engine models", allow_abbrev=False)
    parser.add_argument("--models", type=Path, required=True, help="the folder of the model sets")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("list").set_defaults(run=_list)
    commands.add_parser("plan").set_defaults(run=_plan)
    fetch = commands.add_parser("download", allow_abbrev=False)
    fetch.add_argument("names", nargs="+")
    fetch.add_argument("--from", dest="source", default="")
    fetch.add_argument("--accept-licence", action="store_true")
    fetch.add_argument("--online", action="store_true")
    fetch.set_defaults(run=_download)
    check = commands.add_parser("verify")
    check.add_argument("names", nargs="*")
    check.set_defaults(run=_verify)
    bring = commands.add_parser("import")
    bring.add_argument("folders", nargs="+", type=Path)
    bring.set_defaults(run=_import)
    drop = commands.add_parser("remove")
    drop.add_argument("names", nargs="+")
    drop.set_defaults(run=_remove)
    return parser


def _list(_options: argparse.Namespace, models: ModelsFolder) -> int:
    text = f"{STARTER}: ready, comes with Espalier. Simple shapes."
    say("set", text, set=STARTER, state="ready", folder=str(STARTER_FOLDER), purpose="Simple shapes.")
    for entry in SETS:
        _list_set(entry, models)
    return DONE


def _plan(_options: argparse.Namespace, _models: ModelsFolder) -> int:
    from ..doctor_memory import whole_plan

    with tempfile.TemporaryDirectory(prefix="espalier-plan-", ignore_cleanup_errors=True) as folder:
        say("plans", **whole_plan(Path(folder)))
    return DONE


def _list_set(entry: PublishedSet, models: ModelsFolder) -> None:
    folder = models.place(entry)
    arrived = models.arrived(entry)
    if models.is_complete(entry):
        state, words = "ready", f"ready in {folder}"
    elif folder.is_dir():
        state = "damaged"
        words = f"not complete in {folder}; “models verify {entry.name}” says what is wrong"
    elif arrived:
        state, words = "partial", f"{gigabytes(arrived)} of it downloaded, “models download” goes on"
    else:
        state, words = "missing", "not on this computer"
    size = f", {gigabytes(entry.size)}" if entry.size else ""
    licences = ", ".join(dict.fromkeys(part.licence.name for part in entry.parts))
    say(
        "set",
        f"{entry.name}: {words}. {entry.purpose} Licence: {licences}{size}.",
        set=entry.name,
        state=state,
        folder=str(folder),
        purpose=entry.purpose,
        size=entry.size,
        downloaded=arrived,
        needs=list(entry.needs),
        verified=bool(read_receipt(folder)) and state == "ready",
        repositories=[
            {"repository": part.repository, "licence": part.licence.name, "terms": part.licence.terms}
            for part in entry.parts
        ],
        alternatives=list(entry.alternatives),
    )


def _download(options: argparse.Namespace, models: ModelsFolder) -> int:
    from .download import download

    entries = [published(name) for name in dict.fromkeys(options.names)]
    if options.source:
        if len(entries) != 1:
            raise EspalierError("bad_request", "--from belongs to one model set. Download the others without it.")
        repository, _, revision = options.source.partition("@")
        entries = [entries[0].from_repository(repository, revision or "main")]
    if not options.online:
        raise EspalierError("offline", OFFLINE)
    download(entries, models, say, options.accept_licence)
    return DONE


def _verify(options: argparse.Namespace, models: ModelsFolder) -> int:
    from .verify import verify_set, verify_starter

    def verify(name: str) -> None:
        if name.lower() == STARTER:
            return verify_starter(say)
        with models.locked(f"the check of {name}", say):
            verify_set(published(name), models, say)
        return None

    present = [entry.name for entry in SETS if models.place(entry).is_dir()]
    return _each(options.names or [STARTER, *present], verify, models)


def _import(options: argparse.Namespace, models: ModelsFolder) -> int:
    from .import_folder import import_set, recognise

    folders = [folder.absolute() for folder in options.folders]
    names = [entry.name for entry in recognise(folders)]
    return _each(names, lambda name: import_set(published(name), folders, models, say), models)


def _remove(options: argparse.Namespace, models: ModelsFolder) -> int:
    def remove(name: str) -> None:
        if name.lower() == STARTER:
            raise EspalierError("bad_request", "The starter model is a part of Espalier and stays.")
        entry = published(name)
        with models.locked(f"the removal of {entry.name}", say):
            found = models.remove(entry)
        say("removed", f"{entry.name} was {'removed' if found else 'not here'}.", set=entry.name, found=found)

    return _each(options.names, remove, models)


def _each(names: Sequence[str], work: Callable[[str], None], models: ModelsFolder) -> int:
    """Do the work for every name, also when it fails for one of them."""
    codes = []
    for name in names:
        try:
            work(name)
            codes.append(DONE)
        except (EspalierError, OSError, MemoryError, ImportError) as error:
            codes.append(_fail(error, models))
    if DONE in codes and any(codes):
        return SOME_FAILED
    return max(codes, default=DONE)


def _fail(error: BaseException, models: ModelsFolder) -> int:
    problem = explain(error, models.path)
    hint = f" ({problem.hint})" if problem.hint else ""
    bad = problem.code in _BAD_INPUT
    say(
        "bad_input" if bad else "failed",
        f"{problem.sentence}{hint}",
        code=problem.code,
        sentence=problem.sentence,
        hint=problem.hint,
    )
    return BAD_INPUT if bad else FAILED
