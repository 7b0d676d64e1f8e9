# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results go, as the panel says when Generate is pressed. The engine is a stand-in."""

import json

import bpy
import numpy as np
import pytest
from espalier.addon.expectation import expectation
from espalier.addon.orders import GAP
from espalier.addon.request import MAX_SEED
from espalier.addon.session import session

from .conftest import png
from .stand_in import generated, tick


@pytest.mark.parametrize(("place", "location"), [("CURSOR", (1, 2, 3)), ("GROUND", (1, 2, 0)), ("ORIGIN", (0, 0, 0))])
def test_the_object_stands_where_the_panel_says(engine, place, location):
    bpy.context.scene.cursor.location = (1, 2, 3)
    bpy.context.scene.espalier.place = place
    assert tuple(generated(engine).location) == location


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        ({}, True),
        ({"location": (0, 0, 1 / 3 - 1)}, True),
        ({"location": (0.8, 0, 0)}, False),
        ({"location": (0, 0, 1.2)}, False),
        ({"scale": (5, 5, 5)}, False),
        ({"display_type": "WIRE"}, False),
        ({"hide_viewport": True}, False),
    ],
    ids=["around it", "as high as it", "beside it", "partly below it", "a room", "drawn as wires", "not shown"],
)
def test_an_object_that_stands_hidden_in_another_as_in_the_cube_of_a_new_file_is_told(engine, change, is_told):
    bpy.ops.mesh.primitive_cube_add()
    for name, value in change.items():
        setattr(bpy.context.object, name, value)
    bpy.context.view_layer.update()
    generated(engine)
    text = session.message.text
    assert text.endswith(". It stands inside “Cube”, which hides it.") == is_told, text


def test_the_same_object_in_the_same_place_is_told_and_another_seed_or_place_needs_no_words(engine):
    generated(engine)
    generated(engine)
    assert session.message.text.endswith(
        "“red mug”, which is the same, stands there already: move the 3D cursor, or choose another seed."
    )
    bpy.context.scene.espalier.seed = 5
    generated(engine)
    assert "stands there" not in session.message.text
    bpy.context.scene.cursor.location = (3, 0, 0)
    generated(engine)
    assert "stands there" not in session.message.text


def test_an_objects_own_levels_of_detail_are_not_another_in_its_place(engine, result_folder):
    result_folder(lods=2)
    item = generated(engine)
    assert item.name + "_LOD1" in bpy.data.objects and "stands" not in session.message.text


def test_the_object_is_filed_in_the_chosen_collection(engine):
    chosen = bpy.data.collections.new("Props")
    bpy.context.scene.collection.children.link(chosen)
    bpy.context.scene.espalier.collection = chosen
    assert [found.name for found in generated(engine).users_collection] == ["Props"]


def test_a_collection_that_was_deleted_meanwhile_is_replaced_by_our_own(engine):
    chosen = bpy.data.collections.new("Props")
    bpy.context.scene.collection.children.link(chosen)
    bpy.context.scene.espalier.collection = chosen
    bpy.ops.espalier.generate()
    bpy.data.collections.remove(chosen)
    tick()
    engine.finish()
    tick()
    assert [found.name for found in bpy.context.view_layer.objects.active.users_collection] == ["Espalier"]


def test_the_object_becomes_an_asset_with_its_picture_and_tags(engine):
    (engine.result / "preview.png").write_bytes(png([[(255, 0, 0, 255)] * 8] * 8))
    settings = bpy.context.scene.espalier
    settings.is_asset, settings.asset_tags = True, "prop, red mug ,,prop"
    item = generated(engine)
    assert sorted(tag.name for tag in item.asset_data.tags) == ["prop", "red mug"]
    assert "red mug.png" in item.asset_data.description and item.preview.image_size[0] > 0


def test_nothing_is_an_asset_unasked(engine):
    bpy.context.scene.espalier.asset_tags = "prop"
    assert generated(engine).asset_data is None


def test_variants_have_following_seeds_and_stand_side_by_side(engine):
    settings = bpy.context.scene.espalier
    settings.variants, settings.seed, settings.size = 3, MAX_SEED - 1, 2.0
    bpy.ops.espalier.generate()
    jobs = session.queue.waiting
    seeds = [json.loads((job.folder / "request.json").read_text())["seed"] for job in jobs]
    assert seeds == [MAX_SEED - 1, MAX_SEED, 0]
    assert [session.orders[job.id].location[0] for job in jobs] == pytest.approx([0, 2 * (1 + GAP), 4 * (1 + GAP)])


def test_a_failed_job_of_an_earlier_blender_can_be_run_again(engine):
    bpy.ops.espalier.generate()
    tick()
    engine.fail()
    tick()
    job = session.queue.store.list()[0]
    session.orders.clear()
    bpy.ops.espalier.retry(job=job.id)
    tick()
    engine.finish()
    tick()
    assert bpy.context.view_layer.objects.active["espalier_job"] == job.id


def test_what_earlier_jobs_took_is_what_the_next_is_expected_to(engine):
    session.look()
    assert expectation(session.shelf, "generate", "starter", "starter") == ""
    generated(engine)
    state = session.queue.store.list()[0].folder / "state.json"
    record = {"state": "built", "seconds": {"shape": 70.0, "finish": 20.0}, "peak_memory": {"host": 3 * 2**29}}
    state.write_text(json.dumps(record))
    session.shelf._scanned = float("-inf")
    session.shelf.entries.clear()
    tick()
    assert expectation(session.shelf, "generate", "starter", "starter") == "About 1 min 30 s, 1.5 GB, as before"
    assert expectation(session.shelf, "texture", "starter", "starter") == ""
    assert expectation(session.shelf, "generate", "trellis2-4b", "512") == ""


def test_an_asset_whose_picture_is_damaged_stands_all_the_same(engine):
    (engine.result / "preview.png").write_bytes(b"no picture")
    bpy.context.scene.espalier.is_asset = True
    item = generated(engine)
    assert item.asset_data is not None and not session.message.is_error


def test_the_picture_of_an_asset_is_saved_with_the_file(engine, tmp_path):
    (engine.result / "preview.png").write_bytes(png([[(255, 0, 0, 255)] * 8] * 8))
    bpy.context.scene.espalier.is_asset, bpy.context.scene.espalier.asset_tags = True, "prop"
    generated(engine)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shelf.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "shelf.blend"), assets_only=True) as (found, _):
        assert found.objects == ["red mug"]
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shelf.blend"))
    item = bpy.data.objects["red mug"]
    pixels = np.empty(item.preview.image_size[0] * item.preview.image_size[1] * 4, np.float32)
    item.preview.image_pixels_float.foreach_get(pixels)
    assert set(map(tuple, pixels.reshape(-1, 4).tolist())) == {(1.0, 0.0, 0.0, 1.0)}
    assert [tag.name for tag in item.asset_data.tags] == ["prop"]
