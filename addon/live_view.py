# SPDX-License-Identifier: GPL-3.0-or-later
"""The object that is being made, drawn in the viewports while its job runs: voxels first, then the shape in clay,
then in its colours.

It is drawn, not built: nothing of it is an object, so it enters neither the undo history nor a saved file.
"""

import math
import time
import zipfile
import zlib

import bpy
import numpy as np

# Triangles that are placed and lit at a time: a large preview takes several ticks.
PIECE = 4096
# Bytes of a file that are read at a time.
READ = 1 << 17
CLAY = np.array([0.62, 0.52, 0.44], dtype=np.float32)
LIGHT = np.array([-0.35, -0.55, 0.76], dtype=np.float32)
LIGHT /= np.sqrt(np.sum(LIGHT * LIGHT))
AMBIENT = 0.35
# What other objects hide of it shines through so much: the cube of a new file would hide all of it.
HIDDEN_ALPHA = 0.3


class LiveView:
    """What is drawn now. ``follow`` is called from the timer, everything else by Blender."""

    def __init__(self):
        self._file = None
        self._reading = None
        self._scene = ""
        self._handler = None
        self._triangles = None
        self._batch = None
        self._hidden = None

    @property
    def shown(self):
        """The file that is drawn; None when nothing is."""
        return self._file

    def follow(self, job, order, max_seconds=0.0):
        """Draw what ``job`` has made so far where ``order`` wants the object; nothing without a job. True when that is
        other than before. What there was stays until a new preview is read, which may take several calls: each reads
        one piece, and more for as long as ``max_seconds`` allow.
        """
        file = getattr(job, "live", None)
        if file is None or not hasattr(order, "location"):
            file = None
        if file != self._file:
            self._file, self._reading = file, _read(file, order) if file is not None else None
            if file is None:
                self._show(None, "")
                return True
        return self._reading is not None and self._read_on(order.scene, time.monotonic() + max_seconds)

    def _read_on(self, scene, deadline):
        """Read at least one piece, further ones until the monotonic time ``deadline``; true when a preview is there."""
        while True:
            try:
                next(self._reading)
            except StopIteration as end:
                self._reading = None
                self._show(end.value, scene)
                return True
            if time.monotonic() >= deadline:
                return False

    def _show(self, triangles, scene):
        self._triangles, self._scene, self._batch, self._hidden = triangles, scene, None, None
        if (triangles is not None) != (self._handler is not None):
            self._switch()

    def remove(self):
        """Draw nothing any more."""
        self.follow(None, None)

    def _switch(self):
        if self._handler is None:
            self._handler = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_VIEW")
        else:
            bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None

    def _draw(self):
        import gpu
        from gpu_extras.batch import batch_for_shader

        if bpy.context.scene.name != self._scene or self._triangles is None:
            return
        shader = gpu.shader.from_builtin("SMOOTH_COLOR")
        if self._batch is None:
            points, colours = self._triangles
            self._batch = batch_for_shader(shader, "TRIS", {"pos": points, "color": colours})
            faint = colours * np.array([1, 1, 1, HIDDEN_ALPHA], np.float32)
            self._hidden = batch_for_shader(shader, "TRIS", {"pos": points, "color": faint})
        # What is drawn faintly leaves the depth as it is, or the next pass would cover what hides it.
        gpu.state.depth_mask_set(False)
        gpu.state.depth_test_set("GREATER")
        gpu.state.blend_set("ALPHA")
        self._hidden.draw(shader)
        gpu.state.blend_set("NONE")
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(True)
        self._batch.draw(shader)
        gpu.state.depth_mask_set(False)
        gpu.state.depth_test_set("NONE")


def read_arrays(file):
    """The vertices [V, 3] and triangles [F, 3] of a live preview, and the materials [V, 6] of its vertices as a draft
    has them, or None before there are any; None altogether when they cannot be read.
    """
    steps = _arrays(file)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _arrays(file):
    """``read_arrays`` as a generator, which yields whenever a tick may end."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield
            vertices = (yield from _array(archive, "vertices.npy")).astype(np.float32)
            yield
            faces = (yield from _array(archive, "faces.npy")).astype(np.int32)
            yield
            has_materials = "attributes.npy" in archive.namelist()
            attributes = (yield from _array(archive, "attributes.npy")).astype(np.float32) if has_materials else None
            yield
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    fits = vertices.ndim == 2 and vertices.shape[1] == 3 and faces.ndim == 2 and faces.shape[1] == 3
    if not fits or not len(faces) or faces.min() < 0 or faces.max() >= len(vertices) or not np.isfinite(vertices).all():
        return None
    if attributes is not None and (attributes.shape != (len(vertices), 6) or not np.isfinite(attributes).all()):
        return None
    return vertices, faces, attributes


def _array(archive, name):
    """An array of a file that ``numpy.savez`` wrote, read as a generator that yields after each piece: as a whole a
    large one takes as long as a tick may. Raises what a damaged file makes of it, KeyError when it has no such array.
    """
    with archive.open(name) as entry:
        if np.lib.format.read_magic(entry) != (1, 0):
            raise ValueError(name)
        shape, is_transposed, dtype = np.lib.format.read_array_header_1_0(entry)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or size > archive.getinfo(name).file_size:
            raise ValueError(name)
        data, done = np.empty(size, np.uint8), 0
        while done < size:
            read = entry.readinto(memoryview(data)[done : done + READ])
            if not read:
                raise EOFError(name)
            done += read
            yield
    return data.view(dtype).reshape(shape, order="F" if is_transposed else "C")


def _read(file, order):
    """Return corner positions [3F, 3] in the scene and colours [3F, 4] of flat-shaded triangles; None when unreadable.

    Clay until there are materials, then their base colour. A generator: it yields whenever a tick may end.
    """
    from .scene.mesh import frame_on_ground

    arrays = yield from _arrays(file)
    yield
    if arrays is None:
        return None
    vertices, faces, attributes = arrays
    scene = bpy.data.scenes.get(order.scene)
    rows = frame_on_ground(vertices, order.size / (scene.unit_settings.scale_length if scene is not None else 1.0))
    # Sums, not a matrix product: numpy's library for these starts threads, for longer than a tick may take.
    offset = rows[3] + np.array(order.location)
    placed = np.empty((len(vertices), 3), np.float32)
    for start in range(0, len(vertices), PIECE):
        yield
        piece = vertices[start : start + PIECE]
        for axis in range(3):
            x, y, z = (piece[:, column] * rows[column, axis] for column in range(3))
            placed[start : start + PIECE, axis] = x + y + z + offset[axis]
    corners, colours = np.empty((len(faces), 3, 3), np.float32), np.empty((len(faces), 3, 4), np.float32)
    for start in range(0, len(faces), PIECE):
        yield
        piece = slice(start, start + PIECE)
        corners[piece] = placed[faces[piece]]
        base = CLAY if attributes is None else np.clip(attributes[faces[piece], :3], 0.0, 1.0)
        colours[piece, :, :3] = base * _shade(corners[piece])[:, None, None]
        colours[piece, :, 3] = 1.0
    return corners.reshape(-1, 3), colours.reshape(-1, 4)


def _shade(corners):
    """How light triangles [F, 3, 3] are, [F]."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    x, y, z = (normals[:, axis] * LIGHT[axis] for axis in range(3))
    # The winding of an unfinished surface says nothing: both sides are lit.
    return AMBIENT + (1 - AMBIENT) * np.abs(x + y + z)


live_view = LiveView()
