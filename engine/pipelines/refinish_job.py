# SPDX-License-Identifier: GPL-3.0-or-later
"""The job "refinish": the voxels of an earlier generation, finished again with other settings. No network runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import EspalierError
from ..jobs import JobFolder
from ..mesh.finish_settings import FinishSettings
from ..protocol import REQUEST_FILE, read_json
from ..weights.configuration import Configuration, read_configuration
from .finishing import finish_settings, finish_surface
from .job import Report, check_settings, model_folder, quality_of, setting
from .kept_voxels import read_voxels

GONE = "The model of this object is no longer on this computer, so its own finishing settings are not known."


def run(job: JobFolder, report: Report, cancelled: Callable[[], bool]) -> Mapping[str, Any]:
    """Do the job and return ``{"result": "result.json"}``.

    The request's ``source`` is the folder of a generation. What the request leaves out is as it was there; a setting
    that is null is as the model suggests. The result is what the generation would have made with these settings, byte
    for byte. Raises as ``generate_job.run``.
    """
    request = job.request()
    check_settings(request)
    source, made = _source(request)
    request = {**made, **request, "settings": _merged(_settings(made), _settings(request))}
    report("finish", 0, 1)
    asset = read_voxels(source)
    config = _configuration(request)
    if config is None:
        kind, notes = str(setting(request, "quality", "")), (GONE,)
        report.log("warning", GONE)
        settings = finish_settings(request, FinishSettings.repair, FinishSettings.smoothing)
    else:
        kind, notes = quality_of(request, config.default_kind), ()
        settings = finish_settings(request, config.repair, config.smoothing)
    finish_surface(job, request, asset, asset.surface(), settings, kind, notes, report, cancelled)
    return {"result": "result.json"}


def _source(request: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The folder that the request names, and what was asked for there. Raises EspalierError("bad_request")."""
    source = request.get("source")
    if not isinstance(source, str) or "\0" in source or not Path(source).is_absolute():
        raise EspalierError("bad_request", f"The job to finish again is given as {source!r}: name its whole folder.")
    folder = Path(source)
    if not folder.is_dir():
        raise EspalierError(
            "bad_request", f"The job folder {folder} does not exist any more. Generate the object again."
        )
    made = read_json(folder / REQUEST_FILE)
    if made is None:
        raise EspalierError("bad_request", f"The folder {folder} is no job: it has no readable {REQUEST_FILE}.")
    if made.get("kind") != "generate":
        raise EspalierError(
            "bad_request",
            f"Only a generation can be finished again, and {folder} holds a job of the kind {made.get('kind')!r}.",
        )
    return folder, made


def _configuration(request: Mapping[str, Any]) -> Configuration | None:
    """The configuration of the model that made the object; None where the model is gone, which is no obstacle."""
    try:
        return read_configuration(model_folder(request))
    except EspalierError:
        return None


def _merged(before: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings ``before``, as far as ``asked`` leaves them.

    The number of faces is said in one way or the other, and thickness goes with the repair that it was chosen for.
    """
    merged = {**before, **asked}
    if asked.get("repair") not in (None, "watertight") and "thickness" not in asked:
        merged["thickness"] = None
    for name, other in (("faces", "ratio"), ("ratio", "faces")):
        if asked.get(name) is not None and other not in asked:
            merged[other] = None
    return merged


def _settings(request: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = request.get("settings")
    return settings if isinstance(settings, Mapping) else {}
