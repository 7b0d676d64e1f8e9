# SPDX-License-Identifier: GPL-3.0-or-later
"""Queue and results in the panel, also of a Blender that ended. The engine is a stand-in."""

import json
from dataclasses import replace

import bpy
import pytest
from espalier.addon import preferences, pump, results
from espalier.addon.client import ClientError, JobQueue, JobStore, Problem
from espalier.addon.history import is_job_name
from espalier.addon.orders import GAP
from espalier.addon.session import session
from espalier.addon.ui.jobs import _draw_entry, describe

from .stand_in import generated, tick


@pytest.fixture
def made(engine):
    """A result that stands in the scene, with the panel looking at what is kept."""
    bpy.context.scene.espalier.seed = 5
    generated(engine)
    look()
    return session.shelf.ended()[0].job


def look():
    session.look()
    session.shelf._scanned = float("-inf")
    tick()


def start_again(engine):
    """What a new Blender knows of the one before: only the store."""
    session.queue.shutdown()
    store = JobStore(session.queue.store.folder)
    session.__init__()
    session.queue = JobQueue(store, engine)
    look()


def rows():
    return [row.name for row in bpy.context.window_manager.espalier_results]


def test_the_newest_result_stands_first_and_the_choice_stays_with_its_job(engine, made):
    assert rows() == [made.id] and results.chosen(bpy.context).job.id == made.id
    generated(engine)
    look()
    assert len(rows()) == 2 and made.id in rows()
    assert results.chosen(bpy.context).job.id == made.id


def test_a_result_says_its_seed_model_and_whether_it_stands_in_a_scene(made):
    lines = describe(session.shelf.entries[made.id])
    assert lines[0] == "Seed 5, Starter" and lines[2] == "In a scene"


@pytest.mark.parametrize("created", [1e300, -1e18])
def test_a_result_with_an_impossible_date_is_described_all_the_same(made, created):
    entry = session.shelf.entries[made.id]
    assert describe(replace(entry, job=replace(entry.job, created=created)))[2] == "In a scene"


def test_a_result_of_an_earlier_blender_is_placed_at_the_cursor(engine, made):
    start_again(engine)
    bpy.ops.object.delete()
    bpy.context.scene.cursor.location = (3, 0, 0)
    assert bpy.ops.espalier.place_result(job=made.id) == {"FINISHED"}
    item = bpy.context.view_layer.objects.active
    assert item.name.startswith("red mug") and tuple(item.location) == (3, 0, 0) and item["espalier_seed"] == 5


def test_to_place_a_result_twice_in_one_place_says_so(made, capfd):
    told = "“red mug”, which is the same, stands there already: move the 3D cursor, or choose another seed."
    bpy.ops.object.delete()
    bpy.ops.espalier.place_result(job=made.id)
    assert told not in capfd.readouterr().out
    bpy.ops.espalier.place_result(job=made.id)
    assert told in capfd.readouterr().out


def test_what_was_finished_but_not_placed_is_kept_as_such(engine):
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    session.queue.poll()
    start_again(engine)
    entry = session.shelf.ended()[0]
    assert entry.job.state == "finished" and describe(entry)[2] == "Not in a scene yet"
    bpy.ops.espalier.place_result(job=entry.job.id)
    tick()
    assert session.shelf.entries[entry.job.id].job.state == "built"


def test_jobs_that_waited_when_blender_closed_are_offered_and_run(engine):
    session.queue.on_hold = True
    bpy.ops.espalier.generate()
    bpy.ops.espalier.generate()
    start_again(engine)
    waiting = session.shelf.forsaken()
    assert len(waiting) == 2
    bpy.ops.espalier.queue_earlier()
    tick()
    assert [job for job, _ in engine.submitted] == [waiting[0].id]
    engine.finish()
    tick()
    assert bpy.context.view_layer.objects.active["espalier_job"] == waiting[0].id
    look()
    assert session.shelf.forsaken() == []


def test_jobs_that_waited_stand_in_a_row_and_those_another_blender_took_are_left_to_it(engine):
    session.queue.on_hold = True
    for _ in range(3):
        bpy.ops.espalier.generate()
    start_again(engine)
    first, taken, last = session.shelf.forsaken()
    JobStore(taken.folder.parent).adopt(taken.folder)
    bpy.ops.espalier.queue_earlier()
    bpy.ops.espalier.discard_earlier()
    assert [job.id for job in session.queue.jobs.values()] == [first.id, last.id]
    assert session.queue.store.read(taken.folder).state == "waiting"
    assert session.orders[last.id].location[0] == pytest.approx(1 + GAP)


def test_one_that_another_blender_takes_in_the_same_moment_does_not_keep_the_others_waiting(engine, monkeypatch):
    session.queue.on_hold = True
    for _ in range(3):
        bpy.ops.espalier.generate()
    start_again(engine)
    first, taken, last = session.shelf.forsaken()
    rival, add = JobStore(taken.folder.parent), JobQueue.add

    def add_late(queue, job):
        if job.id == taken.id:
            rival.adopt(job.folder)
        return add(queue, job)

    monkeypatch.setattr(JobQueue, "add", add_late)
    assert bpy.ops.espalier.queue_earlier() == {"FINISHED"}
    assert [job.id for job in session.queue.jobs.values()] == [first.id, last.id]
    assert taken.id not in session.orders and session.orders[last.id].location[0] == pytest.approx(1 + GAP)


def test_jobs_that_waited_can_be_discarded(engine):
    session.queue.on_hold = True
    bpy.ops.espalier.generate()
    start_again(engine)
    bpy.ops.espalier.discard_earlier()
    look()
    assert session.shelf.forsaken() == [] and engine.submitted == []
    assert [entry.job.state for entry in session.shelf.ended()] == ["cancelled"]


def test_jobs_are_discarded_without_an_engine(engine, monkeypatch):
    session.queue.on_hold = True
    bpy.ops.espalier.generate()
    start_again(engine)
    monkeypatch.setattr(preferences, "engine_python", lambda: None)
    assert not bpy.ops.espalier.queue_earlier.poll() and bpy.ops.espalier.discard_earlier.poll()
    bpy.ops.espalier.discard_earlier()
    look()
    assert session.shelf.forsaken() == [] and len(session.shelf.ended()) == 1


def test_a_result_that_waits_for_the_user_lets_blender_rest_and_can_be_left_where_it_is(engine):
    bpy.ops.espalier.generate()
    tick()
    bpy.ops.wm.read_homefile(use_empty=True)
    engine.finish()
    tick()
    (job,) = session.ready
    assert not session.is_busy() and pump._tick() == pump.IDLE_SECONDS
    assert bpy.ops.espalier.leave_result(job=job) == {"FINISHED"}
    look()
    assert session.ready == [] and not bpy.data.objects
    assert [entry.job.state for entry in session.shelf.ended()] == ["finished"]
    assert bpy.ops.espalier.place_result(job=job) == {"FINISHED"} and len(bpy.data.objects) == 1


def test_a_texture_of_an_earlier_blender_waits_for_the_users_word(engine):
    bpy.ops.mesh.primitive_monkey_add()
    bpy.context.scene.espalier.mode = "TEXTURE"
    session.queue.on_hold = True
    bpy.ops.espalier.texture()
    start_again(engine)
    (job,) = session.shelf.forsaken()
    (engine.result / "result.npz").unlink()
    bpy.ops.espalier.queue_earlier()
    tick()
    engine.finish()
    tick()
    assert session.ready == [job.id] and not bpy.data.objects["Suzanne"].data.materials
    bpy.ops.espalier.apply_texture(job=job.id)
    assert bpy.data.objects["Suzanne"].active_material is not None


def test_the_queue_is_paused_ordered_and_cleared_by_its_buttons(engine):
    bpy.ops.espalier.queue_hold()
    for _ in range(3):
        bpy.ops.espalier.generate()
    tick()
    assert engine.submitted == [] and not session.is_busy()
    first, _, last = [job.id for job in session.queue.waiting]
    bpy.ops.espalier.queue_move(job=last, places=-1)
    bpy.ops.espalier.queue_remove(job=first)
    bpy.ops.espalier.queue_hold()
    tick()
    assert [job for job, _ in engine.submitted] == [last]
    bpy.ops.espalier.queue_clear()
    assert session.queue.waiting == [] and session.queue.running.id == last


def test_variants_have_other_seeds_and_the_same_settings_and_stand_in_a_row(engine, made):
    session.queue.on_hold = True
    assert bpy.ops.espalier.variants(job=made.id, count=3) == {"FINISHED"}
    requests = [json.loads((job.folder / "request.json").read_text()) for job in session.queue.waiting]
    assert len({request["seed"] for request in requests} | {5}) == 4
    assert all(request["settings"] == made.request["settings"] for request in requests)
    assert all((job.folder / "input.png").is_file() for job in session.queue.waiting)
    columns = sorted(session.orders[job.id].location[0] for job in session.queue.waiting)
    assert columns == pytest.approx([(1 + GAP) * place for place in (1, 2, 3)])


def test_variants_stand_beside_the_object_wherever_it_is_now_or_at_the_cursor_without_it(engine, made):
    session.queue.on_hold = True
    item = bpy.context.view_layer.objects.active
    item.location = (5, 6, 7)
    bpy.context.view_layer.update()
    bpy.ops.espalier.variants(job=made.id, count=1)
    bpy.data.objects.remove(item)
    bpy.context.scene.cursor.location = (0, 2, 0)
    bpy.ops.espalier.variants(job=made.id, count=1)
    beside, alone = (session.orders[job.id].location for job in session.queue.waiting)
    assert beside == pytest.approx((5 + 1 + GAP, 6, 7)) and alone == pytest.approx((0, 2, 0))


def test_a_result_of_the_list_is_finished_again_as_another_object_beside_its_own(engine, made):
    item, finish = bpy.context.view_layer.objects.active, bpy.context.scene.espalier.finish
    item.location.x, finish.amount, finish.faces = 4.0, "NUMBER", 900
    (made.folder / "voxels.safetensors").write_bytes(b"voxels")
    assert bpy.ops.espalier.finish_result(job=made.id) == {"FINISHED"}
    tick()
    request = json.loads((engine.submitted[-1][1] / "request.json").read_text())
    assert request["kind"] == "refinish" and request["source"] == str(made.folder)
    assert request["settings"]["faces"] == 900 and request["seed"] == 5
    engine.finish()
    tick()
    other = bpy.context.view_layer.objects.active
    assert other != item and other.location.x == pytest.approx(4 + 1 + GAP) and len(bpy.data.objects) == 2


def test_another_object_that_was_still_waiting_comes_beside_its_own_in_the_next_blender_too(engine, made):
    item = bpy.context.view_layer.objects.active
    item.location.x = 4.0
    (made.folder / "voxels.safetensors").write_bytes(b"voxels")
    session.queue.on_hold = True
    bpy.ops.espalier.finish_result(job=made.id)
    bpy.ops.espalier.generate()
    before = [round(value, 6) for corner in item.bound_box for value in corner]
    start_again(engine)
    bpy.context.view_layer.update()
    again, generated = session.shelf.forsaken()
    bpy.ops.espalier.queue_earlier()
    assert session.orders[again.id].location[0] == pytest.approx(4 + 1 + GAP)
    # What is generated keeps to the cursor.
    assert session.orders[generated.id].location[0] == 0
    tick()
    engine.finish()
    tick()
    other = bpy.context.view_layer.objects.active
    assert other != item and other["espalier_job"] == again.id and other.location.x == pytest.approx(4 + 1 + GAP)
    assert item["espalier_job"] == made.id and len(bpy.data.objects) == 2
    assert [round(value, 6) for corner in item.bound_box for value in corner] == before


def test_one_that_was_meant_to_replace_its_object_still_does_in_the_next_blender(engine, made):
    item = bpy.context.view_layer.objects.active
    (made.folder / "voxels.safetensors").write_bytes(b"voxels")
    session.queue.on_hold = True
    bpy.ops.espalier.finish_again()
    start_again(engine)
    (job,) = session.shelf.forsaken()
    bpy.ops.espalier.queue_earlier()
    tick()
    engine.finish()
    tick()
    assert session.ready == [job.id] and item["espalier_job"] == made.id
    assert bpy.ops.espalier.replace_result(job=job.id) == {"FINISHED"}
    assert item["espalier_job"] == job.id and list(bpy.data.objects) == [item]


def test_a_result_whose_voxels_are_gone_cannot_be_finished_again(engine, made):
    with pytest.raises(RuntimeError, match="voxels are no longer on this computer"):
        bpy.ops.espalier.finish_result(job=made.id)
    assert len(engine.submitted) == 1


class Layout:
    """Writes down what is drawn of a result: there are no real layouts without a window."""

    def __init__(self, drawn):
        self.drawn = drawn

    def _part(self, **_options):
        return Layout(self.drawn)

    row = column = split = _part

    def template_icon(self, *_arguments, **_options):
        pass

    def label(self, text="", icon="NONE", **_options):
        self.drawn += [text, icon]

    def operator(self, name, text="", **_options):
        self.drawn.append(text or name)
        return Layout(self.drawn)


def drawn(entry):
    calls = []
    _draw_entry(Layout(calls), bpy.context, entry)
    return calls


def test_a_cancelled_result_is_no_failure_and_a_texture_has_no_buttons_that_would_refuse_it(made):
    entry = session.shelf.entries[made.id]
    problem = Problem("cancelled", "The job was cancelled.", "", "")
    cancelled = drawn(replace(entry, job=replace(entry.job, state="cancelled", problem=problem)))
    assert "ERROR" not in cancelled and "espalier.retry" in cancelled and "Cancelled" in cancelled
    failed = drawn(replace(entry, job=replace(entry.job, state="failed", problem=problem)))
    assert "ERROR" in failed
    for_meshes = {"espalier.finish_result", "espalier.variants"}
    texture = drawn(replace(entry, job=replace(entry.job, request={**entry.job.request, "kind": "texture"})))
    assert for_meshes <= set(drawn(entry)) and not for_meshes & set(texture) and "Apply Texture" in texture


def test_results_of_one_image_are_told_apart_by_what_they_were_finished_with(engine):
    bpy.context.scene.espalier.finish.amount, bpy.context.scene.espalier.finish.faces = "NUMBER", 800
    generated(engine)
    look()
    (entry,) = session.shelf.ended()
    assert any("at most 800 faces" in line for line in drawn(entry))


def test_settings_of_a_result_come_back_to_the_panel(engine):
    panel = bpy.context.scene.espalier
    panel.seed, panel.finish.texture_size, panel.finish.repair, panel.matting = 77, "512", "WATERTIGHT", "KEYER"
    generated(engine)
    look()
    panel.seed, panel.finish.texture_size, panel.finish.repair, panel.matting = 1, "1024", "CLEAN", "AUTO"
    panel.image = None
    bpy.ops.espalier.recall(job=rows()[0])
    assert (panel.seed, panel.finish.texture_size, panel.finish.repair, panel.matting) == (
        77,
        "512",
        "WATERTIGHT",
        "KEYER",
    )
    assert panel.image is not None and panel.lock_seed


def test_the_image_of_a_result_outlives_its_job(engine, made):
    panel = bpy.context.scene.espalier
    bpy.ops.espalier.recall(job=made.id)
    first = panel.image
    bpy.ops.espalier.recall(job=made.id)
    assert panel.image == first and first.packed_file is not None
    bpy.ops.espalier.delete_result("EXEC_DEFAULT", job=made.id)
    first.reload()
    assert tuple(first.size) == (8, 8) and first.has_data
    assert bpy.ops.espalier.generate() == {"FINISHED"}


def test_a_request_that_names_a_file_outside_its_folder_gives_no_image(engine, made, tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes((made.folder / "input.png").read_bytes())
    bpy.context.scene.espalier.image = None
    for name in (str(outside), "../../../outside.png", "..", "", 7):
        (made.folder / "request.json").write_text(json.dumps({**made.request, "input": name, "settings": [1]}))
        with pytest.raises(RuntimeError, match="still there"):
            bpy.ops.espalier.variants("EXEC_DEFAULT", job=made.id)
        bpy.ops.espalier.recall(job=made.id)
        assert bpy.context.scene.espalier.image is None
    assert session.queue.waiting == []


def test_deleting_takes_the_files_and_the_row_and_leaves_the_object(engine, made):
    item = bpy.context.view_layer.objects.active
    bpy.ops.espalier.delete_result("EXEC_DEFAULT", job=made.id)
    tick()
    assert rows() == [] and not made.folder.exists() and item.name in bpy.context.scene.objects


def test_a_result_that_was_deleted_elsewhere_is_told(engine, made):
    JobStore(made.folder.parent).delete(made.folder)
    for operator in (bpy.ops.espalier.place_result, bpy.ops.espalier.recall, bpy.ops.espalier.variants):
        assert operator("EXEC_DEFAULT", job=made.id) == {"CANCELLED"}


def test_a_failed_job_that_runs_again_is_neither_deleted_nor_run_twice(engine):
    bpy.ops.espalier.generate()
    tick()
    engine.fail()
    tick()
    look()
    (name,) = rows()
    assert bpy.ops.espalier.retry(job=name) == {"FINISHED"}
    # The list has not been read again yet, as between two redraws.
    assert session.shelf.entries[name].job.state == "failed"
    with pytest.raises(RuntimeError, match="in the queue"):
        bpy.ops.espalier.delete_result("EXEC_DEFAULT", job=name)
    assert bpy.ops.espalier.retry(job=name) == {"CANCELLED"}
    tick()
    assert rows() == [] and [job for job, _ in engine.submitted] == [name, name]
    engine.finish()
    tick()
    assert len(bpy.data.objects) == 1


def test_a_job_that_another_blender_took_up_again_is_not_deleted(engine, made, monkeypatch):
    other = JobStore(made.folder.parent)
    other.set_state(made.folder, "waiting")
    with pytest.raises(RuntimeError, match="Another Blender"):
        bpy.ops.espalier.delete_result("EXEC_DEFAULT", job=made.id)
    monkeypatch.setattr(preferences, "storage_limit", lambda: 1)
    bpy.ops.espalier.delete_oldest("EXEC_DEFAULT")
    assert (made.folder / "result.json").is_file()
    other.set_state(made.folder, "cancelled")
    bpy.ops.espalier.delete_oldest("EXEC_DEFAULT")
    assert not made.folder.exists()


def test_the_list_is_there_in_a_file_that_is_opened_later(engine, made):
    bpy.ops.wm.read_homefile(use_empty=True)
    assert rows() == []
    tick(1)
    assert rows() == [made.id]


def test_an_object_stands_although_the_note_of_it_cannot_be_written(engine, monkeypatch):
    bpy.ops.espalier.generate()
    tick()
    engine.finish()

    def full(*_arguments):
        raise ClientError("no_space", "The disk is full.")

    monkeypatch.setattr(JobStore, "set_state", full)
    tick()
    assert len(bpy.data.objects) == 1 and session.ready == []
    assert [message.is_error for message in session.messages] == [False]


def test_the_list_grows_by_what_is_read_and_loses_what_is_deleted(engine, made):
    store, jobs = session.shelf.store, []
    for number, created in enumerate((5.0, 3.0, 4.0)):
        job = store.create({"name": f"cup {number}"}, b"x", ".png")
        (job.folder / "state.json").write_text(json.dumps({"state": "built", "created": created}))
        jobs.append(job.id)
        look()
    assert rows() == [jobs[0], jobs[2], jobs[1], made.id]
    results.sync(bpy.context.window_manager)
    store.delete(store.folder / jobs[2])
    look()
    assert rows() == [jobs[0], jobs[1], made.id]
    assert results.chosen(bpy.context).job.id == made.id


def test_a_damaged_result_is_told_in_a_sentence(engine):
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    session.queue.poll()
    look()
    (job,) = [entry.job for entry in session.shelf.ended()]
    (job.folder / "result.npz").write_bytes(b"no arrays")
    session.ready[:] = [job.id]
    with pytest.raises(RuntimeError, match="cannot be read") as caught:
        bpy.ops.espalier.place_result(job=job.id)
    assert "Traceback" not in str(caught.value)


def test_nothing_is_read_before_the_panel_is_looked_at(engine):
    tick()
    assert session.shelf is None
    assert pump._tick() == pump.IDLE_SECONDS


@pytest.mark.parametrize("name", ["", ".", "..", "../other", "a/b", "/etc", "a\0b"])
def test_the_name_of_a_job_leads_nowhere_else(name):
    assert not is_job_name(name) and is_job_name("20260101-000000-cup-abcdef")
