# SPDX-License-Identifier: GPL-3.0-or-later
"""``engine convert``: meshes to voxel files and back. One JSON object per line on stdout.

Blender reads and writes the mesh files; here stands what lies between: a folder with the arrays and images of a mesh
becomes a voxel file, a voxel file becomes a folder with a finished result, or another voxel file. Events: ``progress``,
``finished``, ``bad_input``, ``failed``. Exit codes: 0 done, 1 failed, 4 bad input.
"""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import EspalierError
from .events import say
from .failure import explain
from .jobs import JobFolder
from .mesh.bake.bake import MaterialVoxels
from .mesh.bake.png import encode_png
from .mesh.finish import STEP_ENDS, finish
from .mesh.finish_settings import DEFAULT_FACES, FinishSettings
from .ovoxel.grid import MAX_RESOLUTION
from .ovoxel.ovoxel_file import decode_ovoxels, read_voxels, write_voxels
from .ovoxel.textured_mesh import read_textured_mesh
from .pipelines.asset import VoxelAsset

DONE, FAILED, BAD_INPUT = 0, 1, 4
_BAD_INPUT = {"bad_input", "bad_settings", "bad_surface", "missing_file"}

# Below this a mesh is no longer recognisable.
SMALLEST_RESOLUTION = 8


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except Exception as error:
        return _fail(error, options.folder if "folder" in options else options.output)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="engine convert", allow_abbrev=False)
    kinds = parser.add_subparsers(required=True)
    forth = kinds.add_parser("mesh-to-voxels")
    forth.add_argument("folder", type=Path, help="the mesh, as engine/ovoxel/textured_mesh.py describes")
    forth.add_argument("output", type=Path)
    forth.add_argument("--resolution", type=int, default=512)
    forth.set_defaults(run=_mesh_to_voxels)
    back = kinds.add_parser("voxels-to-mesh")
    back.add_argument("input", type=Path)
    back.add_argument("folder", type=Path, help="where result.json and what it names are written")
    back.add_argument("--resolution", type=int)
    back.add_argument("--texture-size", type=int, default=1024)
    back.add_argument("--faces", type=int, default=DEFAULT_FACES)
    back.set_defaults(run=_voxels_to_mesh)
    copy = kinds.add_parser("voxels-to-voxels")
    copy.add_argument("input", type=Path)
    copy.add_argument("output", type=Path)
    copy.set_defaults(run=_voxels_to_voxels)
    return parser


def _mesh_to_voxels(options: argparse.Namespace) -> None:
    if not SMALLEST_RESOLUTION <= options.resolution <= MAX_RESOLUTION:
        raise EspalierError(
            "bad_settings",
            f"A resolution of {options.resolution} is not possible: choose between {SMALLEST_RESOLUTION} and "
            f"{MAX_RESOLUTION}.",
        )
    mesh = read_textured_mesh(options.folder)
    say("progress", f"{len(mesh.faces):,} triangles to voxels at a resolution of {options.resolution}")
    voxels = mesh.voxelise(options.resolution)
    _write(options.output, voxels)


def _voxels_to_voxels(options: argparse.Namespace) -> None:
    _write(options.output, read_voxels(options.input))


def _write(path: Path, voxels: Any) -> None:
    write_voxels(path, voxels)
    size = path.stat().st_size
    text = f"{path}, {len(voxels.coords):,} voxels, {size / 1e6:.1f} MB"
    say("finished", text, file=str(path), voxels=len(voxels.coords), bytes=size)


def _voxels_to_mesh(options: argparse.Namespace) -> None:
    settings = FinishSettings(target_faces=options.faces, texture_size=options.texture_size)
    voxels = decode_ovoxels(read_voxels(options.input), options.input.name, options.resolution)
    say("progress", f"{len(voxels.coords):,} voxels at a resolution of {voxels.resolution} to a mesh")
    asset = VoxelAsset(
        voxels.resolution, voxels.coords, voxels.dual_vertices, voxels.intersected, None, voxels.attrs
    ).completed()
    material = MaterialVoxels(asset.resolution, asset.coords, asset.attrs)

    def report(step: int, of: int) -> None:
        if step in STEP_ENDS:
            say("progress", stage=STEP_ENDS[step], step=step, of=of)

    result = finish(*asset.surface(), material, settings, report)
    job = JobFolder(options.folder)
    maps = {name: f"{name}.png" for name in result.maps}
    for name, file in maps.items():
        job.write_bytes(file, encode_png(result.maps[name]))
    job.write_npz("result.npz", vertices=result.vertices, faces=result.faces, normals=result.normals, uv=result.uv)
    job.write_json("result.json", {"alpha_mode": result.alpha_mode, "maps": maps, "report": result.report})


def _fail(error: Exception, folder: Path) -> int:
    """Tell a failure in its sentence and return the exit code."""
    problem = explain(error, folder)
    if problem is not error:
        traceback.print_exception(error)
    is_bad = problem.code in _BAD_INPUT
    text = problem.sentence + (f" ({problem.hint})" if problem.hint else "")
    event = "bad_input" if is_bad else "failed"
    say(event, text, code=problem.code, sentence=problem.sentence, hint=problem.hint)
    return BAD_INPUT if is_bad else FAILED
