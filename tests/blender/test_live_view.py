# SPDX-License-Identifier: GPL-3.0-or-later
"""What is being made is shown where it will stand, and is nothing in the file. The engine is a stand-in."""

import time
import zipfile

import bpy
import numpy as np
import pytest
from espalier.addon.client.engine import Event
from espalier.addon.live_view import PIECE, live_view, read_arrays
from espalier.addon.session import session

from .conftest import box
from .stand_in import tick


@pytest.fixture
def watched(engine):
    """A running job that has just shown its shape."""
    bpy.context.scene.cursor.location = (1, 2, 3)
    bpy.context.scene.espalier.size = 2.0
    bpy.ops.espalier.generate()
    tick()
    show(engine)
    yield session.current()
    live_view.remove()


def show(engine, **arrays):
    job, folder = engine.submitted[-1]
    vertices, faces = box()
    stage = "material" if "attributes" in arrays else "shape"
    np.savez(folder / f"live-{stage}.npz", **{"vertices": vertices, "faces": faces, **arrays})
    engine.events.append(Event("preview", job, {"stage": stage, "file": f"live-{stage}.npz"}))
    tick()


def test_the_preview_stands_where_the_object_will(watched):
    points, colours = live_view._triangles
    assert np.ptp(points, axis=0).max() == pytest.approx(2.0, abs=1e-5)
    assert points[:, 2].min() == pytest.approx(3.0, abs=1e-5)
    assert (points.min(0) + points.max(0))[:2] / 2 == pytest.approx([1, 2], abs=1e-5)
    assert len(points) == len(colours) == 36 and colours.min() > 0 and colours.max() <= 1


def test_materials_show_in_their_colours_and_are_kept_with_the_mesh(engine, watched):
    clay = live_view._triangles[1]
    green = np.tile(np.array([0.1, 0.8, 0.2, 0.0, 0.5, 1.0], np.float32), (8, 1))
    show(engine, attributes=green)
    shown = live_view._triangles[1]
    assert (shown[:, 1] > 3 * shown[:, 0]).all() and not (clay[:, 1] > 3 * clay[:, 0]).any()
    bpy.ops.espalier.cancel()
    tick()
    bpy.ops.espalier.keep_preview(job=watched.id)
    item = bpy.context.view_layer.objects.active
    assert [attribute.name for attribute in item.data.color_attributes] == ["Base Color"]
    assert tuple(item.data.color_attributes[0].data[0].color_srgb)[:3] == pytest.approx((0.1, 0.8, 0.2), abs=0.01)
    assert item.active_material is not None


def test_nothing_of_it_is_in_the_file(watched):
    assert live_view.shown is not None
    assert not bpy.data.objects and not bpy.data.meshes


def test_a_preview_that_ends_early_shows_nothing_and_stops_nothing(engine, watched):
    job, folder = engine.submitted[-1]
    whole = (folder / "live-shape.npz").read_bytes()
    (folder / "live-half.npz").write_bytes(whole[: len(whole) // 2])
    engine.events.append(Event("preview", job, {"stage": "shape", "file": "live-half.npz"}))
    tick()
    assert live_view._triangles is None and session.message is None


def test_it_goes_when_the_object_comes(engine, watched):
    engine.finish()
    tick()
    assert live_view.shown is None and len(bpy.data.objects) == 1


def test_it_is_not_shown_in_a_file_that_is_opened_meanwhile(engine, watched):
    bpy.ops.wm.read_homefile(use_empty=True)
    tick()
    assert live_view.shown is None
    bpy.context.scene.cursor.location = (7, 0, 0)
    bpy.ops.espalier.cancel()
    tick()
    bpy.ops.espalier.keep_preview(job=watched.id)
    assert tuple(bpy.context.view_layer.objects.active.location) == (7, 0, 0)


def test_what_there_was_of_a_cancelled_job_can_be_kept(engine, watched):
    bpy.ops.espalier.cancel()
    tick()
    assert live_view.shown is None and session.message.is_kept
    assert bpy.ops.espalier.keep_preview(job=watched.id) == {"FINISHED"}
    item = bpy.context.view_layer.objects.active
    assert tuple(item.location) == (1, 2, 3) and max(item.dimensions) == pytest.approx(2.0, abs=1e-5)
    assert [collection.name for collection in item.users_collection] == ["Espalier"] and item.select_get()


def test_a_cancelled_job_that_had_shown_nothing_offers_nothing(engine):
    bpy.ops.espalier.generate()
    tick()
    bpy.ops.espalier.cancel()
    tick()
    assert not session.message.is_kept


@pytest.mark.parametrize(
    "arrays",
    [
        {"faces": np.array([[0, 1, 99]])},
        {"vertices": np.full((8, 3), np.nan)},
        {"faces": np.zeros((0, 3), int)},
        {"attributes": np.zeros((7, 6))},
    ],
)
def test_a_damaged_preview_shows_nothing_and_stops_nothing(engine, arrays):
    bpy.ops.espalier.generate()
    tick()
    show(engine, **arrays)
    assert live_view._triangles is None
    engine.finish()
    tick()
    assert len(bpy.data.objects) == 1


def test_a_large_preview_takes_many_short_ticks_and_the_one_before_stays_meanwhile(engine, watched, uncollected):
    before = live_view._triangles
    rng = np.random.default_rng(0)
    job, folder = engine.submitted[-1]
    vertices, faces = rng.random((60_000, 3), np.float32), rng.integers(0, 60_000, (120_000, 3), np.int32)
    np.savez(folder / "live-large.npz", vertices=vertices, faces=faces)
    engine.events.append(Event("preview", job, {"stage": "shape", "file": "live-large.npz"}))
    longest = ticks = 0
    while live_view._triangles is before:
        begun = time.thread_time()
        tick(1)
        longest, ticks = max(longest, time.thread_time() - begun), ticks + 1
    assert len(live_view._triangles[0]) == 360_000 and ticks > 1
    assert longest < 0.02


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_read_in_pieces_is_what_was_written(tmp_path, order):
    rng = np.random.default_rng(1)
    vertices, faces = rng.random((50_000, 3)).astype(np.float16), rng.integers(0, 50_000, (90_001, 3))
    attributes = rng.random((50_000, 6), np.float32)
    written = {"vertices": vertices, "faces": faces, "attributes": attributes}
    np.savez(tmp_path / "live.npz", **{name: np.asarray(array, order=order) for name, array in written.items()})
    for array, read in zip(written.values(), read_arrays(tmp_path / "live.npz"), strict=True):
        assert np.array_equal(array.astype(read.dtype), read)


def test_an_array_that_says_to_be_larger_than_its_file_is_refused_before_memory_is_taken(tmp_path):
    np.savez(tmp_path / "live.npz", vertices=np.zeros((8, 3), np.float32), faces=np.zeros((1, 3), np.int32))
    with zipfile.ZipFile(tmp_path / "live.npz") as whole, zipfile.ZipFile(tmp_path / "false.npz", "w") as false:
        for name in whole.namelist():
            false.writestr(name, whole.read(name).replace(b"(8, 3), }" + 9 * b" ", b"(8" + 9 * b"0" + b", 3), }"))
    assert read_arrays(tmp_path / "live.npz") is not None
    assert read_arrays(tmp_path / "false.npz") is None


def test_a_tick_that_the_jobs_have_used_up_reads_one_piece_of_a_preview(engine, watched, monkeypatch):
    before = live_view._triangles
    job, folder = engine.submitted[-1]
    vertices, faces = np.random.default_rng(0).random((9, 3), np.float32), np.tile(np.arange(9), 20_000).reshape(-1, 3)
    np.savez(folder / "live-large.npz", vertices=vertices, faces=faces)
    engine.events.append(Event("preview", job, {"stage": "shape", "file": "live-large.npz"}))
    session.poll(0.0)
    monkeypatch.setattr(session, "poll", lambda max_seconds: time.sleep(max_seconds))
    ticks = 0
    while live_view._triangles is before:
        tick(1)
        ticks += 1
    assert ticks > len(faces) / PIECE


def test_the_request_asks_for_it(engine):
    bpy.ops.espalier.generate()
    assert session.queue.store.list()[0].request["live"] is True
