# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes to voxel files and back: Blender reads and writes the mesh, the engine converts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .. import cli
from ..request import TEXTURE_SIZES
from .engine_command import EngineCommand
from .finishing import whole

VOXELS = ("vxz", "npz")
MESHES = ("glb", "blend")
RESOLUTION = 512


def add_to(commands):
    """Add the command to the command line."""
    convert = commands.add_parser("convert", help="turn a mesh into voxels (.vxz, .npz), or voxels into a mesh")
    convert.add_argument(
        "input", type=Path, metavar="FILE", help="glb, gltf, obj, ply, stl, fbx or blend; or a voxel file, vxz or npz"
    )
    convert.add_argument("--to", choices=(*VOXELS, *MESHES), required=True, help="kind of file to make")
    convert.add_argument("--output", type=Path, metavar="FILE", help="file to make (default: beside the input)")
    convert.add_argument(
        "--resolution",
        type=int,
        metavar="N",
        help=f"voxels along the longest side (default: {RESOLUTION}); of voxels, the grid that they were made on "
        "(default: the smallest usual one that holds them)",
    )
    convert.add_argument(
        "--size", type=cli.length, default=1.0, metavar="M", help="longest side of a mesh made, in metres (default: 1)"
    )
    convert.add_argument(
        "--texture-size", type=int, default=1024, choices=TEXTURE_SIZES, help="texels along a side (default: 1024)"
    )
    convert.add_argument(
        "--faces", type=whole(4), default=60_000, metavar="N", help="at most this many triangles (default: 60000)"
    )
    cli.add_common(convert)
    convert.set_defaults(start=Convert)


class Convert:
    """Runs the ``convert`` command. ``options`` are the parsed arguments, ``reporter`` is told what happens."""

    def __init__(self, options, reporter):
        self.options = options
        self.reporter = reporter
        self.engine: EngineCommand | None = None
        self.between: tempfile.TemporaryDirectory[str] | None = None

    def run(self):
        """Convert and return the exit code."""
        from ..scene import export

        source = self.options.input.absolute()
        target = (self.options.output or source.with_suffix(f".{self.options.to}")).absolute()
        if target.suffix.lower() != f".{self.options.to}":
            target = target.with_name(f"{target.name}.{self.options.to}")
        is_voxels = source.suffix.lower().lstrip(".") in VOXELS
        if not is_voxels and self.options.to in MESHES:
            return self._refuse(f"“{source.name}” is no voxel file: a mesh can be turned into vxz or npz.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.between = tempfile.TemporaryDirectory(prefix="espalier-convert-", ignore_cleanup_errors=True)
        except OSError as error:
            return self._refuse_writing(error.filename or target.parent, error)
        target = export.unused(target)
        if not is_voxels:
            return self._mesh_to_voxels(source, target)
        if self.options.to in VOXELS:
            return self._run_engine("voxels-to-voxels", source, target)
        return self._voxels_to_mesh(source, target)

    def log_trace(self):
        """Write the exception at hand into a log and return the file."""
        return EngineCommand(self.options, self.reporter, "convert", []).log_trace()

    def close(self):
        """End the engine if it still runs, and remove what lay between."""
        if self.engine is not None:
            self.engine.close()
        if self.between is not None:
            self.between.cleanup()

    def _mesh_to_voxels(self, source, target):
        from ..scene.handover import hand_over
        from ..scene.open_mesh import BadMesh, open_mesh

        self.reporter.event("progress", text=f"Reading {source.name}", stage="read")
        try:
            with open_mesh(source) as (scene, layer):
                notes = hand_over(scene, layer, Path(self.between.name))
        except BadMesh as error:
            return self._refuse(str(error))
        except OSError as error:
            return self._refuse_writing(self.between.name, error)
        for note in notes:
            self.reporter.event("note", text=note)
        resolution = RESOLUTION if self.options.resolution is None else self.options.resolution
        return self._run_engine("mesh-to-voxels", self.between.name, target, "--resolution", resolution)

    def _voxels_to_mesh(self, source, target):
        from ..scene import export
        from ..scene.asset import BadResult

        options = self.options
        arguments = ["--texture-size", options.texture_size, "--faces", options.faces]
        if options.resolution is not None:
            arguments += ["--resolution", options.resolution]
        code = self._run_engine("voxels-to-mesh", source, self.between.name, *arguments)
        if code != cli.DONE:
            return code
        self.reporter.event("progress", text=f"Writing {target.name}", stage="write")
        request = {"name": source.stem, "image": "", "settings": {}}
        try:
            faces = export.write(Path(self.between.name), request, "", target, options.size)
        except BadResult as error:
            return self._refuse(str(error), "failed", cli.FAILED)
        except OSError as error:
            return self._refuse_writing(target, error)
        self.reporter.event("finished", text=f"{target}, {faces:,} faces", file=str(target), faces=faces)
        return cli.DONE

    def _run_engine(self, *arguments):
        self.engine = EngineCommand(self.options, self.reporter, "convert", [str(part) for part in arguments])
        return self.engine.run()

    def _refuse_writing(self, path, error):
        return self._refuse(f"{path} cannot be written: {error.strerror or error}.", "failed", cli.FAILED)

    def _refuse(self, sentence, kind="bad_input", code=cli.BAD_INPUT):
        self.reporter.event(kind, text=sentence, code=kind, sentence=sentence)
        return code
