# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishing again: the same bytes as a generation with those settings, and one sentence for every damaged source."""

import json
import shutil

import numpy as np
import pytest
import torch
from espalier.engine import protocol
from espalier.engine.errors import Cancelled, EspalierError
from espalier.engine.jobs import JobFolder
from espalier.engine.ovoxel import mesh_to_dual_grid
from espalier.engine.pipelines import generate_job, refinish_job
from espalier.engine.pipelines import job as shared
from espalier.engine.pipelines.asset import VoxelAsset
from espalier.tests.engine.mesh.shapes import colours_at, sphere
from espalier.tests.engine.pipelines.helpers import Report, make_job
from espalier.tests.tiny_set import write_tiny_set
from PIL import Image
from safetensors.numpy import load_file, save_file


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    yield write_tiny_set(tmp_path_factory.mktemp("set"))
    shared.release()


@pytest.fixture(scope="module")
def generated(tmp_path_factory, tiny_set):
    """A finished generation."""
    job = make_job(tmp_path_factory.mktemp("store"), tiny_set, "first")
    generate_job.run(job, Report(), lambda: False)
    return job


def refinish(store, source, settings, name="again", **options):
    """Run a new job that finishes ``source`` again; give its folder and report."""
    request = {"kind": "refinish", "source": str(source), "settings": settings, "name": "thing"}
    job = JobFolder(protocol.create_job_folder(store, name, request, None, ""))
    report = Report(**options)
    refinish_job.run(job, report, lambda: False)
    return job, report


def test_what_could_not_be_had_as_it_was_asked_for_is_told(tmp_path, generated):
    asked = {"texture_size": 64, "faces": 200, "repair": "watertight"}
    _, report = refinish(tmp_path, generated.path, asked)
    assert report.logs == []
    job, report = refinish(tmp_path, generated.path, {**asked, "faces": 4, "lods": [0.5, 0.1]}, "fewer")
    account = json.loads((job.path / "result.json").read_text())["report"]
    told = [
        f"The object keeps {account['faces']:,} faces, more than the 4 asked for: its pieces and open rims need them."
    ]
    told += [f"LOD{number}, asked for with {share} % of the faces, keeps" for number, share in ((1, 50), (2, 10))]
    assert len(report.logs) == 3 and all(map(str.startswith, report.logs, told))
    assert account["events"][-3:] == report.logs


@pytest.mark.parametrize(
    "settings",
    [
        {"quality": "starter", "texture_size": 256, "faces": 200, "repair": "watertight"},
        {"quality": "starter", "texture_size": 64, "faces": None, "repair": "clean", "smoothing": 3},
    ],
)
def test_result_is_that_of_a_generation_with_these_settings(tmp_path, tiny_set, generated, settings):
    whole = make_job(tmp_path, tiny_set, "whole", settings=settings)
    generate_job.run(whole, Report(), lambda: False)
    job, report = refinish(tmp_path, generated.path, settings)
    results = [path.name for path in whole.path.glob("*.png") if path.name not in ("prepared.png", "mask.png")]
    results = [name for name in results if not name.startswith("input")]
    assert {"base_color.png", "orm.png", "preview.png"} <= set(results)
    for name in (*results, "result.npz"):
        assert (job.path / name).read_bytes() == (whole.path / name).read_bytes(), name
        assert (job.path / name).read_bytes() != (generated.path / name).read_bytes(), name
    ours, theirs = (json.loads((path / "result.json").read_text()) for path in (job.path, whole.path))
    theirs["report"].pop("tokens")
    theirs["report"]["notes"] = []
    assert ours == theirs
    assert report.stages() == ["finish"] and report.previews == ["preview.png"]


def test_what_is_left_out_is_as_it_was(tmp_path, generated):
    job, _ = refinish(tmp_path, generated.path, {})
    for name in ("result.npz", "base_color.png", "orm.png"):
        assert (job.path / name).read_bytes() == (generated.path / name).read_bytes(), name


def test_source_is_only_read(tmp_path, generated):
    before = {path.name: path.read_bytes() for path in generated.path.iterdir()}
    refinish(tmp_path, generated.path, {"faces": 100})
    assert {path.name: path.read_bytes() for path in generated.path.iterdir()} == before


def test_object_outlives_its_model(tmp_path, generated):
    folder = tmp_path / "moved"
    shutil.copytree(generated.path, folder)
    request = {**generated.request(), "model": {"set": "tiny", "path": str(tmp_path / "gone")}}
    JobFolder(folder).write_json("request.json", request)
    job, report = refinish(tmp_path, folder, {"faces": 100})
    assert report.logs == [refinish_job.GONE]
    assert len(np.load(job.path / "result.npz")["faces"]) <= 100


def test_cancel_leaves_no_result(tmp_path, generated):
    with pytest.raises(Cancelled):
        refinish(tmp_path, generated.path, {}, cancel_at="finish")
    assert not (tmp_path / "again" / "result.json").exists()


@pytest.mark.parametrize(
    "source, sentence",
    [
        (None, "name its whole folder"),
        (3, "name its whole folder"),
        ("first", "name its whole folder"),
        ("/nowhere\0", "name its whole folder"),
        ("/nowhere/first", "does not exist any more"),
    ],
)
def test_a_source_that_is_no_folder_is_refused(tmp_path, source, sentence):
    request = {"kind": "refinish", "source": source, "settings": {}}
    job = JobFolder(protocol.create_job_folder(tmp_path, "again", request, None, ""))
    with pytest.raises(EspalierError, match=sentence) as caught:
        refinish_job.run(job, Report(), lambda: False)
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize(
    "request_file, sentence",
    [(None, "is no job"), ("{", "is no job"), ('{"kind": "texture"}', "of the kind 'texture'")],
)
def test_a_folder_that_is_no_generation_is_refused(tmp_path, request_file, sentence):
    source = tmp_path / "source"
    source.mkdir()
    if request_file is not None:
        (source / "request.json").write_text(request_file)
    with pytest.raises(EspalierError, match=sentence):
        refinish(tmp_path, source, {})


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"texture_size": 1}, "texture_size is 1, which is not possible: choose a whole number from 64 to 8192"),
        ({"texture_size": 100_000}, "choose a whole number from 64 to 8192"),
        ({"texture_size": True}, "texture_size is True and should be a whole number"),
        ({"faces": 0}, "faces is 0, which is not possible: choose a whole number from 4"),
        ({"faces": "few"}, "faces is 'few' and should be a whole number"),
        ({"faces": -(10**400)}, "faces is a number with too many digits"),
        ({"faces": 100, "ratio": 0.5}, "give only one of them"),
        ({"ratio": 0}, "ratio is 0, and an object needs faces"),
        ({"ratio": 1.01}, "choose a number from 0 to 1"),
        ({"ratio": "half"}, "ratio is 'half' and should be a number"),
        ({"ratio": 10**400}, "ratio is a number with too many digits"),
        ({"repair": "magic"}, "no repair .magic."),
        ({"repair": ["clean"]}, "no repair"),
        ({"smoothing": 1.5}, "smoothing is 1.5 and should be a whole number"),
        ({"smoothing": 10**9}, "from 0 to 200"),
        ({"hole_length": 2}, "hole_length is 2, which is not possible: choose a number from 0 to 1"),
        ({"floater_size": "small"}, "floater_size is 'small' and should be a number"),
        ({"repair": "clean", "thickness": 0.1}, "Only the repair “watertight” thickens sheets"),
        ({"repair": "watertight", "thickness": 0.5}, "choose a number from 0 to 0.2"),
        ({"lods": [0.25, 0.5]}, "shares in lods have to fall"),
        ({"lods": 0.5}, "lods should be a list"),
        ({"occlusion": "yes"}, "occlusion is 'yes', which is neither true nor false"),
        ({"normal_map": 1}, "normal_map is 1, which is neither true nor false"),
        ({"draft": "yes"}, "draft is 'yes', which is neither true nor false"),
        ({"textures": 64}, "no setting “textures”"),
    ],
)
def test_bad_settings_are_refused(tmp_path, generated, settings, sentence):
    with pytest.raises(EspalierError, match=sentence) as caught:
        refinish(tmp_path, generated.path, settings)
    assert caught.value.code == ("bad_request" if "textures" in settings else "bad_settings")
    assert caught.value.sentence.endswith(".") and not (tmp_path / "again" / "result.json").exists()


def test_the_number_of_faces_is_said_in_one_way_or_the_other(tmp_path, generated):
    """The generation asked for a number; a share asked for later replaces it, and the other way round."""
    whole, _ = refinish(tmp_path, generated.path, {"ratio": 1.0}, "whole")
    share, _ = refinish(tmp_path, generated.path, {"ratio": 0.25}, "share")
    count = len(np.load(whole.path / "result.npz")["faces"])
    assert count > 1000
    assert 0.2 * count < len(np.load(share.path / "result.npz")["faces"]) <= 0.25 * count
    few = {**generated.request(), "settings": {"ratio": 0.25}}
    folder = tmp_path / "shared"
    shutil.copytree(generated.path, folder)
    JobFolder(folder).write_json("request.json", few)
    number, _ = refinish(tmp_path, folder, {"faces": 100}, "number")
    assert len(np.load(number.path / "result.npz")["faces"]) <= 100


def test_a_normal_map_is_made_unless_it_is_not_wanted(tmp_path, generated):
    assert (generated.path / "normal.png").exists()
    job, _ = refinish(tmp_path, generated.path, {"normal_map": False})
    assert not (job.path / "normal.png").exists()
    assert set(json.loads((job.path / "result.json").read_text())["maps"]) == {"base_color", "orm"}
    # The shading differs: with a normal map it breaks at the borders of charts only.
    for name in ("vertices", "faces", "uv"):
        assert np.array_equal(np.load(job.path / "result.npz")[name], np.load(generated.path / "result.npz")[name])


DAMAGE = {
    "missing": lambda path, _: path.unlink(),
    "empty": lambda path, _: path.write_bytes(b""),
    "truncated": lambda path, _: path.write_bytes(path.read_bytes()[:-100]),
    "foreign": lambda path, _: path.write_bytes(b"PK" * 4000),
    "no voxels": lambda path, t: save_file({k: v if k == "resolution" else v[:0] for k, v in t.items()}, path),
    "no colours": lambda path, t: save_file({k: v for k, v in t.items() if k != "attrs"}, path),
    "no grid": lambda path, t: save_file({**t, "resolution": np.zeros(1, np.int32)}, path),
    "a grid too fine": lambda path, t: save_file({**t, "resolution": np.array([1 << 30], np.int32)}, path),
    "too few colours": lambda path, t: save_file({**t, "attrs": t["attrs"][:-1].copy()}, path),
    "another type": lambda path, t: save_file({**t, "coords": t["coords"].astype(np.float32)}, path),
    "outside": lambda path, t: save_file({**t, "coords": t["coords"] + np.int32(30)}, path),
    "below": lambda path, t: save_file({**t, "coords": t["coords"] - np.int32(30)}, path),
    "twice": lambda path, t: save_file({**t, "coords": np.repeat(t["coords"][:1], len(t["coords"]), axis=0)}, path),
    "far off": lambda path, t: save_file({**t, "vertices": t["vertices"] * np.float32(1e6)}, path),
    "no number": lambda path, t: save_file({**t, "vertices": t["vertices"] * np.float32("nan")}, path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_voxels_end_in_one_sentence(tmp_path, generated, damage):
    folder = tmp_path / "source"
    shutil.copytree(generated.path, folder)
    tensors = load_file(folder / "voxels.safetensors")
    DAMAGE[damage](folder / "voxels.safetensors", tensors)
    with pytest.raises(EspalierError, match=r"“voxels.safetensors” of the job “source”") as caught:
        refinish(tmp_path, folder, {})
    assert caught.value.sentence.endswith("Generate the object again.")
    assert caught.value.code == "bad_input"
    assert not (tmp_path / "again" / "result.json").exists()


def test_a_draft_has_the_whole_surface_with_its_materials_at_the_vertices(tmp_path, tiny_set, generated):
    job, report = refinish(tmp_path, generated.path, {"draft": True})
    info = json.loads((job.path / "result.json").read_text())
    arrays = np.load(job.path / "result.npz")
    assert (
        info["maps"] == {} and info["alpha_mode"] == "opaque" and sorted(arrays) == ["attributes", "faces", "vertices"]
    )
    assert info["report"]["faces"] == len(arrays["faces"]) > 1000
    assert arrays["attributes"].shape == (len(arrays["vertices"]), 6)
    middle = np.median(arrays["attributes"], axis=0)
    assert np.abs(middle - (0.8, 0.45, 0.2, 0.05, 0.6, 1.0)).max() < 0.1
    assert report.previews == ["preview.png"] and not list(job.path.glob("*color*"))
    with Image.open(job.path / "preview.png") as preview:
        pixels = np.asarray(preview)
    shown = pixels[pixels[..., 3] > 128][:, :3]
    assert len(shown) > 10_000 and (shown[:, 0] > shown[:, 2]).mean() > 0.9
    finished, _ = refinish(tmp_path, generated.path, {"draft": False}, "finished")
    assert (finished.path / "base_color.png").read_bytes() == (generated.path / "base_color.png").read_bytes()


def with_object(generated, folder, vertices, faces, missing=0):
    """A copy of the generation whose voxels are those of a mesh; every ``missing``-th of them is lost."""
    shutil.copytree(generated.path, folder)
    grid = mesh_to_dual_grid(torch.as_tensor(vertices, dtype=torch.float32), torch.as_tensor(faces), 32)
    coords = grid.coords.numpy()
    kept = np.arange(len(coords)) % missing != 0 if missing else slice(None)
    parts = (coords, grid.local.numpy(), grid.intersected.numpy(), colours_at((coords + 0.5) / 32 - 0.5))
    coords, local, intersected, attrs = (part[kept] for part in parts)
    shared.write_voxels(JobFolder(folder), VoxelAsset(32, coords, local, intersected, None, attrs))
    return folder


def test_missing_voxels_are_completed_where_the_surface_is_mended(tmp_path, generated):
    folder = with_object(generated, tmp_path / "source", *sphere(), missing=61)
    reports = []
    for settings in ({"repair": "clean"}, {"repair": "as_generated"}, {"repair": "clean", "draft": True}):
        job, _ = refinish(tmp_path, folder, settings, f"again{len(reports)}")
        reports.append(json.loads((job.path / "result.json").read_text())["report"])
    mended, as_it_was, draft = reports
    assert mended["completed_voxels"] > 30 and mended["boundary_edges"] == 0
    assert mended["open_edges"] < as_it_was["open_edges"] / 2
    assert as_it_was["completed_voxels"] == draft["completed_voxels"] == 0 and as_it_was["boundary_edges"] > 30
    assert mended["voxels"] == as_it_was["voxels"] == draft["voxels"]


def test_another_repair_drops_the_thickness_of_the_earlier_one(tmp_path, generated):
    thick, _ = refinish(tmp_path, generated.path, {"repair": "watertight", "thickness": 0.02}, "thick")
    made = {**generated.request(), "settings": thick.request()["settings"]}
    folder = tmp_path / "source"
    shutil.copytree(generated.path, folder)
    JobFolder(folder).write_json("request.json", made)
    clean, _ = refinish(tmp_path, folder, {"repair": "clean"}, "clean")
    assert (clean.path / "result.json").exists()


def test_result_tells_whether_occlusion_was_baked(tmp_path, generated):
    plain, _ = refinish(tmp_path, generated.path, {"occlusion": False})
    orm = np.asarray(Image.open(plain.path / "orm.png"))
    assert (orm[..., 0] == 255).all() and json.loads((plain.path / "result.json").read_text())["occlusion"] is False
    shaded = np.asarray(Image.open(generated.path / "orm.png"))
    told = json.loads((generated.path / "result.json").read_text())["occlusion"]
    assert told == bool((shaded[..., 0] < 255).any())
    assert (shaded[..., 1:] == orm[..., 1:]).all()


def files_of(job):
    """The files of a result."""
    names = ("result.json", "result.npz", "preview.png", "base_color.png", "orm.png", "normal.png")
    return {path.name: path.read_bytes() for path in job.path.iterdir() if path.name in names or "lod" in path.name}


def test_the_same_job_again_leaves_no_files_of_its_earlier_result(tmp_path, generated):
    job, _ = refinish(tmp_path, generated.path, {"lods": [0.5, 0.25], "faces": 400}, "job")
    listed = json.loads((job.path / "result.json").read_text())["lods"]
    assert [(entry["file"], entry["share"]) for entry in listed] == [("lod1.npz", 0.5), ("lod2.npz", 0.25)]
    for entry in listed:
        arrays = np.load(job.path / entry["file"])
        assert sorted(arrays) == ["faces", "normals", "uv", "vertices"]
        assert len(arrays["faces"]) == entry["faces"] <= entry["share"] * 400 + 1
    request = job.request()
    job.write_json("request.json", {**request, "settings": {"lods": [], "normal_map": False, "faces": 400}})
    refinish_job.run(job, Report(), lambda: False)
    assert set(files_of(job)) == {"result.json", "result.npz", "preview.png", "base_color.png", "orm.png"}
    job.write_json("request.json", {**request, "settings": {"draft": True}})
    refinish_job.run(job, Report(), lambda: False)
    assert set(files_of(job)) == {"result.json", "result.npz", "preview.png"}


def test_a_run_that_is_cancelled_or_fails_keeps_the_earlier_result_of_the_job(tmp_path, generated):
    job, _ = refinish(tmp_path, generated.path, {"lods": [0.5]}, "job")
    before = files_of(job)
    job.write_json("request.json", {**job.request(), "settings": {"faces": 100}})
    with pytest.raises(Cancelled):
        refinish_job.run(job, Report(cancel_at="finish"), lambda: False)
    assert files_of(job) == before
    asked = iter([False] * 4)
    with pytest.raises(Cancelled):
        refinish_job.run(job, Report(), lambda: next(asked, True))
    assert files_of(job) == before
    job.write_json("request.json", {**job.request(), "settings": {"faces": 1}})
    with pytest.raises(EspalierError):
        refinish_job.run(job, Report(), lambda: False)
    assert files_of(job) == before
