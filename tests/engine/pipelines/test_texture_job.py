# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture job: what it leaves in its folder, that it repeats itself byte for byte, and how it refuses a mesh."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from espalier.engine.errors import Cancelled, EspalierError
from espalier.engine.pipelines import job as shared
from espalier.engine.pipelines import texture_job
from espalier.engine.pipelines.surface_mesh import read_mesh
from espalier.tests.engine.mesh.shapes import sphere
from espalier.tests.engine.pipelines.helpers import Report, make_job
from espalier.tests.tiny_set import BASE_COLOR, METALLIC, ROUGHNESS, write_tiny_set
from PIL import Image
from safetensors.numpy import load_file

FILES = {
    "prepared.png", "mask.png", "shape.safetensors", "material.safetensors", "voxels.safetensors",
    "base_color.png", "orm.png", "result.json", "preview.png",
}  # fmt: skip
STAGES = ["condition", "encode", "material", "decode", "finish"]


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(autouse=True, scope="module")
def forget_models():
    yield
    shared.release()


def ball(rows=8, columns=16):
    """A sphere somewhere, in metres, with the UVs of a world map."""
    points, faces = sphere(1.3, (4.0, -7.0, 2.0), rows, columns)
    around = (points - points.mean(0)) / 1.3
    u = np.arctan2(around[:, 1], around[:, 0]) / (2 * np.pi) + 0.5
    uv = np.stack([u, np.arcsin(around[:, 2].clip(-1, 1)) / np.pi + 0.5], axis=1)[faces]
    seam = np.ptp(uv[..., 0], axis=1) > 0.5
    uv[seam, :, 0] = np.where(uv[seam, :, 0] < 0.5, 0.999, uv[seam, :, 0])
    return {"vertices": points.astype(np.float32), "faces": faces.astype(np.int32), "uv": uv.astype(np.float32)}


def texture(store, tiny_set, name="job", mesh=None, **changes):
    settings = {"quality": "starter", "texture_size": 128}
    job = make_job(store, tiny_set, name, **{"kind": "texture", "settings": settings, **changes})
    job.write_npz("mesh.npz", **(ball() if mesh is None else mesh))
    return job


def run(job, **options):
    report = Report(**options)
    return texture_job.run(job, report, lambda: False), report


def test_job_leaves_every_file_and_reports_every_stage(tmp_path, tiny_set):
    job = texture(tmp_path, tiny_set)
    result, report = run(job)
    assert result == {"result": "result.json"}
    assert {path.name for path in job.path.iterdir()} >= FILES
    assert not (job.path / "result.npz").exists()
    assert report.stages() == STAGES
    assert report.previews == ["prepared.png", "preview.png"]
    assert report.logs
    info = json.loads((job.path / "result.json").read_text())
    assert info["texture"] is True
    assert info["alpha_mode"] == "opaque"
    assert info["kind"] == "32"
    assert info["maps"] == {"base_color": "base_color.png", "orm": "orm.png"}
    assert (info["name"], info["image"], info["seed"]) == ("thing", "thing.png", 7)
    assert info["report"]["faces"] == 224
    assert info["report"]["notes"] == report.logs[:1]
    assert 0.8 < info["report"]["covered_share"] <= 1
    assert info["report"]["voxels"] == len(load_file(job.path / "voxels.safetensors")["attrs"])


def test_maps_carry_the_material_without_a_black_texel(tmp_path, tiny_set):
    job = texture(tmp_path, tiny_set)
    run(job)
    colour = np.asarray(Image.open(job.path / "base_color.png"))
    orm = np.asarray(Image.open(job.path / "orm.png"))
    assert colour.shape == orm.shape == (128, 128, 3)
    assert np.abs(np.median(colour, axis=(0, 1)) / 255 - BASE_COLOR).max() < 0.1
    assert np.abs(np.median(orm, axis=(0, 1)) / 255 - (1.0, ROUGHNESS, METALLIC)).max() < 0.1
    assert (orm[..., 0] == 255).all()
    assert colour.max(axis=2).min() > 60


def test_same_request_gives_the_same_bytes_and_another_seed_does_not(tmp_path, tiny_set):
    jobs = [texture(tmp_path, tiny_set, name) for name in ("a", "b")]
    other = texture(tmp_path, tiny_set, "c", seed=8)
    for job in (*jobs, other):
        run(job)
        shared.release()
    for name in sorted(FILES):
        assert (jobs[0].path / name).read_bytes() == (jobs[1].path / name).read_bytes(), name
    shape, material = "shape.safetensors", "material.safetensors"
    assert (jobs[0].path / shape).read_bytes() == (other.path / shape).read_bytes()
    assert (jobs[0].path / material).read_bytes() != (other.path / material).read_bytes()


def test_the_material_noise_is_the_only_draw(tmp_path, tiny_set):
    job = texture(tmp_path, tiny_set)
    run(job)
    generator = torch.Generator().manual_seed(7)
    assert job.random_state("shape") == generator.get_state().numpy().tobytes()
    latent = load_file(job.path / "material.safetensors")["latent"]
    torch.randn(latent.shape, generator=generator)
    assert job.random_state("material") == generator.get_state().numpy().tobytes()


def test_place_size_and_loose_vertices_do_not_matter(tmp_path, tiny_set):
    plain, moved, loose = ball(), ball(), ball()
    moved["vertices"] = plain["vertices"] * np.float32(1024) + np.float32(64)
    loose["vertices"] = np.concatenate([np.full((1, 3), np.nan, np.float32), plain["vertices"]])
    loose["faces"] = plain["faces"] + 1
    results = []
    for name, mesh in {"plain": plain, "moved": moved, "loose": loose}.items():
        job = texture(tmp_path, tiny_set, name, mesh)
        run(job)
        results.append(np.asarray(Image.open(job.path / "base_color.png")).astype(int))
    assert np.abs(results[0] - results[1]).max() <= 2  # far away, float32 positions are coarser
    assert np.array_equal(results[0], results[2])


def tangle():
    """An open, non-manifold thing: three fins at one edge, a face without area, a face twice, a lone triangle."""
    vertices = [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, -1, 0.5], [3, 3, 3], [3, 3.5, 3], [3.2, 3, 3.1]]
    faces = [[0, 1, 2], [0, 1, 3], [1, 0, 4], [0, 0, 1], [0, 1, 2], [5, 6, 7]]
    places = np.array([[0.5 * (face % 2), 0.33 * (face // 2) % 0.6] for face in range(6)])
    uv = np.array([[0, 0], [0.3, 0], [0, 0.4]]) + places[:, None]
    return {"vertices": np.float32(vertices), "faces": np.int32(faces), "uv": np.float32(uv)}


def test_an_open_and_non_manifold_mesh_is_textured(tmp_path, tiny_set):
    job = texture(tmp_path, tiny_set, mesh=tangle())
    run(job)
    colour = np.asarray(Image.open(job.path / "base_color.png"))
    assert colour.max(axis=2).min() > 60


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_tiny_and_huge_meshes_are_textured(tmp_path, tiny_set, scale):
    mesh = ball()
    mesh["vertices"] = mesh["vertices"] * np.float32(scale)
    job = texture(tmp_path, tiny_set, mesh=mesh)
    run(job)
    assert (job.path / "result.json").exists()


def test_cancel_ends_the_job_in_any_stage_and_the_next_run_succeeds(tmp_path, tiny_set):
    job = texture(tmp_path, tiny_set)
    for stage in STAGES:
        with pytest.raises(Cancelled):
            run(job, cancel_at=stage)
        assert not (job.path / "result.json").exists() or stage == "finish"
    with pytest.raises(Cancelled):
        texture_job.run(job, Report(), lambda: True)
    run(job)
    assert (job.path / "result.json").exists()


def changed(**arrays):
    return {**ball(), **arrays}


def with_value(name, value):
    mesh = ball()
    mesh[name].reshape(-1)[5] = value
    return mesh


@pytest.mark.parametrize(
    "mesh, sentence",
    [
        (changed(vertices=np.zeros((0, 3), np.float32), faces=np.zeros((0, 3), np.int32)), "no faces"),
        (changed(faces=np.zeros((0, 3), np.int32), uv=np.zeros((0, 3, 2), np.float32)), "no faces"),
        (with_value("vertices", np.nan), "undefined positions"),
        (with_value("vertices", np.inf), "undefined positions"),
        (changed(vertices=np.ones((114, 3), np.float32)), "at one point"),
        (with_value("faces", -1), "missing vertices"),
        (with_value("faces", 114), "missing vertices"),
        (changed(uv=ball()["uv"][:-1]), "do not fit the faces"),
        (with_value("uv", np.nan), "leave the unit square"),
        (with_value("uv", 1.01), "leave the unit square"),
        (changed(uv=np.zeros((224, 2), np.float32)), "cannot be read"),
        (changed(vertices=np.zeros((114, 2), np.float32)), "cannot be read"),
        (changed(vertices=ball()["vertices"].astype(object)), "cannot be read"),
        ({"vertices": ball()["vertices"], "faces": ball()["faces"]}, "cannot be read"),
        (changed(vertices=np.float32([[0, 0, 0], [1, 0, 0], [2, 0, 0]] * 38)), "thin as a line"),
    ],
)
def test_meshes_that_cannot_be_textured_end_in_one_sentence(tmp_path, tiny_set, mesh, sentence):
    with pytest.raises(EspalierError, match=sentence) as caught:
        run(texture(tmp_path, tiny_set, mesh=mesh))
    assert caught.value.code == "bad_input"


def huge_header():
    """An archive whose ``faces`` claims a hundred million rows and holds none."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in ball().items():
            with archive.open(f"{name}.npy", "w") as file:
                if name == "faces":
                    header = {"descr": "<i4", "fortran_order": False, "shape": (100_000_000, 3)}
                    np.lib.format.write_array_header_1_0(file, header)
                else:
                    np.lib.format.write_array(file, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 no archive", "cannot be read"),
        (huge_header(), "100,000,000 triangles"),
    ],
)
def test_damaged_mesh_files_end_in_one_sentence(tmp_path, tiny_set, data, sentence):
    job = texture(tmp_path, tiny_set)
    job.write_bytes("mesh.npz", data)
    with pytest.raises(EspalierError, match=sentence) as caught:
        run(job)
    assert caught.value.code == "bad_input"


def test_a_mesh_file_cut_at_any_place_ends_in_one_sentence(tmp_path, tiny_set):
    job = texture(tmp_path, tiny_set)
    whole = job.file("mesh.npz").read_bytes()
    for length in range(0, len(whole), 97):
        job.write_bytes("mesh.npz", whole[:length])
        with pytest.raises(EspalierError) as caught:
            run(job)
        assert caught.value.code == "bad_input"


def test_a_mesh_file_with_any_bytes_changed_is_read_or_refused(tmp_path):
    """Stored and compressed: what is read has passed every check, the rest ends in a sentence."""
    rng = np.random.default_rng(0)
    path = tmp_path / "mesh.npz"
    refused = 0
    for write in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        write(stream, **ball())
        whole = np.frombuffer(stream.getvalue(), np.uint8)
        for _ in range(600):
            damaged = whole.copy()
            place = rng.integers(0, len(whole), 3)
            damaged[place] = rng.integers(0, 256, 3)
            path.write_bytes(damaged.tobytes())
            try:
                assert len(read_mesh(path).faces) == 224
            except EspalierError as error:
                assert error.code == "bad_input"
                refused += 1
    assert refused > 600


def test_a_job_without_mesh_ends_in_one_sentence(tmp_path, tiny_set):
    job = texture(tmp_path, tiny_set)
    job.file("mesh.npz").unlink()
    with pytest.raises(EspalierError, match="has no mesh"):
        run(job)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"settings": {"quality": "1024_cascade"}}, "no quality “1024_cascade”. Choose one of: 32"),
        ({"settings": {"texture_size": 9000}}, "texture_size is 9000"),
        ({"settings": {"sampler": {}}}, "no setting “sampler”. Choose one of: quality"),
        ({"settings": {"texture_size": "big"}}, "texture_size"),
        ({"settings": {"samplers": {"material": {"steps": -1}}}}, "material sampler"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_bad_requests_end_in_one_sentence(tmp_path, tiny_set, changes, sentence):
    with pytest.raises(EspalierError, match=sentence):
        run(texture(tmp_path, tiny_set, **changes))


def test_a_set_without_shape_encoder_ends_in_one_sentence(tmp_path):
    folder = write_tiny_set(tmp_path / "set")
    file = folder / "pipeline.json"
    description = json.loads(file.read_text())
    del description["args"]["models"]["shape_slat_encoder"]
    file.write_text(json.dumps(description))
    with pytest.raises(EspalierError, match="cannot texture a mesh"):
        run(texture(tmp_path, folder))
