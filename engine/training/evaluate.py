# SPDX-License-Identifier: GPL-3.0-or-later
"""``eval``: generate from one image of each of N unseen objects, free-running, and compare with the objects."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..conditioning.image import image_tensor, prepare_image
from ..errors import EspalierError
from ..pipelines.asset import VoxelAsset
from ..pipelines.image_to_3d import ImageTo3D
from ..pipelines.stages import Settings
from ..starter.asset import Asset, make_asset, sample_surface
from ..starter.camera import Camera, draw_camera
from ..starter.materials import draw_materials
from ..starter.preview import render_picture
from ..starter.voxels import voxelise
from ..weights.model_set import load_model_set
from . import contact_sheet, metrics

EVALUATION_SEED = 20_000_000
"""Far above the seeds of the training and held-out assets."""
TRAINING_OBJECTS = 390
"""Objects of the training set that the retrieval baseline chooses from."""
FAMILY_POINTS = 1000
COLUMNS = ("f_score", "chamfer", "iou", "silhouette", "family", "colour", "metallic", "roughness")
HIGHER_IS_BETTER = {"f_score", "iou", "silhouette", "family", "metallic"}


@dataclass(frozen=True)
class Subject:
    """An object, its materials, one picture of it, and the truth in the units the metrics compare."""

    asset: Asset
    materials: torch.Tensor
    camera: Camera
    picture: Image.Image
    coords: np.ndarray
    attributes: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What is compared with a subject: O-Voxels with materials and their surface."""

    coords: np.ndarray
    attributes: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    points: np.ndarray


def make_subject(seed: int, resolution: int, picture_size: int = 256) -> Subject:
    """Make the object of a seed, paint it, picture it from one side and voxelise it."""
    asset = make_asset(seed)
    materials = draw_materials(1, torch.Generator().manual_seed(seed))[0]
    camera = draw_camera(np.random.default_rng(seed), asset.vertices)
    picture = render_picture(asset, camera, picture_size, seed, materials)
    voxels = voxelise(asset, resolution)
    attributes = materials.numpy()[voxels.labels.astype(np.int64)]
    points = sample_surface(asset, metrics.SAMPLES, seed)[0].astype(np.float64)
    return Subject(asset, materials, camera, picture, voxels.coords.astype(np.int64), attributes, points)


def answer_of(voxels: VoxelAsset) -> Answer:
    """Mesh generated O-Voxels and sample the surface. Raises EspalierError("empty_result") when there is none."""
    vertices, faces = voxels.surface()
    if len(faces) == 0:
        raise EspalierError("empty_result", "The generated object has no surface.")
    points = metrics.sample_surface(vertices, faces, metrics.SAMPLES, seed=0)
    return Answer(voxels.coords.astype(np.int64), voxels.attrs, vertices, faces, points)


def retrieved(subject: Subject) -> Answer:
    """Present an object of the training set as an answer."""
    asset = subject.asset
    return Answer(subject.coords, subject.attributes, asset.vertices, asset.faces, subject.points)


def compare(answer: Answer, subjects: list[Subject], index: int) -> dict[str, float]:
    """Measure an answer against subject ``index``; the family is that of the nearest of all subjects."""
    subject = subjects[index]
    thin = answer.points[:: len(answer.points) // FAMILY_POINTS]
    distances = [metrics.chamfer(thin, s.points[:: len(s.points) // FAMILY_POINTS]) for s in subjects]
    nearest = subjects[int(np.argmin(distances))].asset.family
    seen = contact_sheet.mask(subject.asset.vertices, subject.asset.faces, subject.camera)
    found = contact_sheet.mask(answer.vertices, answer.faces, subject.camera)
    return {
        "f_score": metrics.f_score(answer.points, subject.points),
        "chamfer": metrics.chamfer(answer.points, subject.points),
        "iou": metrics.voxel_iou(answer.coords, subject.coords),
        "silhouette": metrics.mask_iou(found, seen),
        "family": float(nearest == subject.asset.family),
        **metrics.material_errors(answer.coords, answer.attributes, subject.coords, subject.attributes),
    }


def image_features(pipeline: ImageTo3D, pictures: list[Image.Image]) -> torch.Tensor:
    """Return one unit vector per picture: the mean of the image encoder's tokens."""
    encoder = pipeline.models.image_encoder()
    size = pipeline.models.config.kind(None).cond
    with torch.inference_mode():
        rows = [encoder(image_tensor(prepare_image(p).image, size))[0].mean(0) for p in pictures]
    return torch.nn.functional.normalize(torch.stack(rows), dim=1)


def main(arguments: list[str]) -> int:
    """Print the table of measures beside two baselines and write it, with a contact sheet, to ``--output``."""
    parser = argparse.ArgumentParser(prog="eval", description=main.__doc__)
    parser.add_argument("--count", type=int, default=32, help="how many unseen objects")
    parser.add_argument("--seed", type=int, default=0, help="any number: other objects, pictures and noise")
    default_set = Path(__file__).resolve().parents[1] / "starter" / "weights"
    parser.add_argument("--model", type=Path, default=default_set, help="folder of the model set")
    parser.add_argument("--fast", action="store_true", help="sample with the approximations of the setting fast")
    kept = parser.add_mutually_exclusive_group()
    for name, text in (
        ("int8", "keep the weights of the flows at 8 bits"),
        ("fp8", "use 8-bit floats in the flows' products"),
    ):
        kept.add_argument(f"--{name}", action="store_const", const=name, dest="precision", help=text, default="auto")
    parser.add_argument("--output", type=Path, default=Path("build/eval"))
    options = parser.parse_args(arguments)
    if options.count < 2:
        parser.error("--count must be at least 2: the baselines compare objects with each other")
    pipeline = ImageTo3D(load_model_set(options.model, precision=options.precision))
    resolution = pipeline.models.config.kind(None).resolution
    first = EVALUATION_SEED + options.seed * 100_000
    subjects = [make_subject(first + i, resolution) for i in range(options.count)]
    answers = _generate(pipeline, subjects, options.seed, Settings(fast=options.fast))
    results = {
        "model": [_measure(answers[i], subjects, i) for i in range(options.count)],
        "another object's image": [_measure(answers[i - 1], subjects, i) for i in range(options.count)],
        "nearest training object": _retrieval(pipeline, subjects, resolution),
        "constant material": [_constant(subject) for subject in subjects],
    }
    _print(results)
    options.output.mkdir(parents=True, exist_ok=True)
    rows = [{"seed": s.asset.seed, "object": s.asset.family, **r} for s, r in zip(subjects, results["model"])]
    summary = {name: _means(rows) for name, rows in results.items()}
    report = {"count": options.count, "seed": options.seed, "mean": summary, "objects": rows}
    (options.output / "eval.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    contact_sheet.write(options.output / "eval.png", subjects, answers, [r["f_score"] for r in results["model"]])
    print(f"\nThe table and the pictures are in {options.output}.")
    return 0


def _generate(pipeline: ImageTo3D, subjects: list[Subject], seed: int, settings: Settings) -> list[Answer | None]:
    answers: list[Answer | None] = []
    for index, subject in enumerate(subjects):
        try:
            picture = prepare_image(subject.picture).image
            answers.append(answer_of(pipeline.run(picture, seed + index, settings=settings)))
        except EspalierError as error:
            print(f"{subject.asset.family} {subject.asset.seed}: {error.sentence}")
            answers.append(None)
        print(f"\r{index + 1} of {len(subjects)} generated", end="", flush=True)
    print()
    return answers


def _measure(answer: Answer | None, subjects: list[Subject], index: int) -> dict[str, float]:
    """A generation that failed counts as the worst value of every column."""
    if answer is None:
        return {c: 0.0 if c in HIGHER_IS_BETTER else 1.0 for c in COLUMNS}
    return compare(answer, subjects, index)


def _retrieval(pipeline: ImageTo3D, subjects: list[Subject], resolution: int) -> list[dict[str, float]]:
    shown = [make_subject(seed, resolution, 128) for seed in range(TRAINING_OBJECTS)]
    known = image_features(pipeline, [s.picture for s in shown])
    wanted = image_features(pipeline, [s.picture for s in subjects])
    nearest = (wanted @ known.T).argmax(1).tolist()
    return [compare(retrieved(shown[n]), subjects, i) for i, n in enumerate(nearest)]


def _constant(subject: Subject) -> dict[str, float]:
    """Mid-grey, never metal, roughness one half, on the true shape: what a model without material sense would score."""
    guess = np.tile(np.array([0.6, 0.6, 0.6, 0.0, 0.5, 1.0], dtype=np.float32), (len(subject.coords), 1))
    return metrics.material_errors(subject.coords, guess, subject.coords, subject.attributes)


def _means(rows: list[dict]) -> dict[str, float]:
    return {c: round(float(np.mean([row[c] for row in rows])), 4) for c in COLUMNS if c in rows[0]}


def _print(results: dict[str, list[dict[str, float]]]) -> None:
    print(f"{'':26}" + "".join(f"{column:>11}" for column in COLUMNS))
    for name, rows in results.items():
        means = _means(rows)
        print(f"{name:26}" + "".join(f"{means[c]:11.3f}" if c in means else f"{'-':>11}" for c in COLUMNS))
