# SPDX-License-Identifier: GPL-3.0-or-later
"""``train``: data, autoencoders, image encoder, flows and the finished model set, stage by stage, resumable."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import torch

from ..starter.dataset import build_dataset, read_dataset
from .autoencoders import ShapeVAE, SparseStructureVAE, TextureVAE, trained
from .bank import AssetBank
from .export import export_model_set
from .flows import SparseStructureFlow
from .image_encoder import ImageEncoderStage
from .latents import LatentBank
from .loop import Stage, Trainer
from .presets import NEEDS, Preset, preset
from .refinement import ShapeRefinement, TextureRefinement

AUTOENCODERS = {stage.name: stage for stage in (SparseStructureVAE, ShapeVAE, TextureVAE)}
READERS = {stage.name: stage for stage in (ImageEncoderStage, SparseStructureFlow)}
REFINED = {
    "shape_refinement": ("shape_slat_flow_model_64", "shape_slat_decoder", "shape_vae"),
    "texture_refinement": ("tex_slat_flow_model_64", "tex_slat_decoder", "texture_vae"),
}
"""Stage -> flow of the image encoder's stage and decoder that it trains on, and the stage of the decoder."""
HELD_OUT_SEED = 10_000_000
"""Held-out assets have seeds from here on; evaluation uses seeds further up."""


def main(arguments: list[str]) -> int:
    """Train what is not trained yet in ``--work`` and export the model set to ``--output``."""
    parser = argparse.ArgumentParser(prog="train", description=main.__doc__)
    parser.add_argument("--preset", default="starter", choices=["starter", "smoke"])
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints, data and logs")
    parser.add_argument("--output", type=Path, help="folder of the finished model set (default: WORK/model)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--stage", help="run only this stage (data, a stage's name, or export)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that make assets")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    chosen = preset(options.preset, torch.device(options.device).type)
    options.output = options.output or options.work / "model"
    if options.stage == "data":
        _make_data(chosen, options)
    elif options.stage == "export":
        export_model_set(options.work, options.output)
    elif options.stage:
        _run_stage(options.stage, chosen, options)
    else:
        _run_all(chosen, options, arguments)
    return 0


def _run_all(chosen: Preset, options: argparse.Namespace, arguments: list[str]) -> None:
    started = time.monotonic()
    _make_data(chosen, options)
    bootstrap = Path(__file__).resolve().parent.parent / "__main__.py"
    command = [sys.executable, "-I", "-X", "utf8", "-u", str(bootstrap), "train", *arguments, "--stage"]
    trained_stages = {name: threading.Event() for name in chosen.stages}
    failed = threading.Event()

    def lane(names: tuple[str, ...]) -> None:
        for name in names:
            while not all(trained_stages[need].wait(1) for need in NEEDS.get(name, ())):
                if failed.is_set():
                    return
            if not (options.work / name / "validation.json").exists():
                print(f"[{time.monotonic() - started:.0f} s] training {name}", flush=True)
                if subprocess.run([*command, name], env=_environment(chosen), check=False).returncode != 0:
                    failed.set()
                    return
            trained_stages[name].set()

    threads = [threading.Thread(target=lane, args=(names,)) for names in chosen.lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    missing = [name for name, event in trained_stages.items() if not event.is_set()]
    if missing:
        raise SystemExit(f"Not trained: {', '.join(missing)}. Running the command again continues from there.")
    export_model_set(options.work, options.output)
    print(f"[{time.monotonic() - started:.0f} s] the model set is in {options.output}", flush=True)


def _environment(chosen: Preset) -> dict[str, str]:
    """Share the processors among the lanes, and keep glibc from returning the large gather buffers at every step."""
    threads = str(max(1, (os.cpu_count() or 1) // len(chosen.lanes)))
    limits = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(1 << 30))
    return {**os.environ, **limits, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}


def _make_data(chosen: Preset, options: argparse.Namespace) -> None:
    for name, first, count, seconds in (
        ("held_out", HELD_OUT_SEED, chosen.validation_assets, 120.0),
        ("train", 0, chosen.assets, chosen.data_seconds),
    ):
        build_dataset(options.work / "data" / name, first, count, chosen.views, options.workers, seconds)


def _run_stage(name: str, chosen: Preset, options: argparse.Namespace) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    train = AssetBank(read_dataset(options.work / "data" / "train"), device)
    held_out = AssetBank(read_dataset(options.work / "data" / "held_out"), device)
    budget = chosen.stages[name]
    stage = build_stage(name, train, held_out, chosen.colourings, options.work, budget.batch, options.seed)
    Trainer(stage, budget.schedule, options.work / name, report=lambda line: print(line, flush=True)).run()


def build_stage(
    name: str, train: AssetBank, held_out: AssetBank, colourings: int, work: Path, batch: int, seed: int
) -> Stage:
    """Set up a stage; those that build on others read their weights from ``work``."""
    if name in AUTOENCODERS:
        return AUTOENCODERS[name](train, held_out, batch, seed)
    latents = [_latents(name, bank, colourings, work) for bank in (train, held_out)]
    if name in READERS:
        return READERS[name](*latents, batch, seed)
    flow, decoder, autoencoder = REFINED[name]
    networks = trained(flow, work / "image_encoder", train.device), trained(decoder, work / autoencoder, train.device)
    if name == "shape_refinement":
        return ShapeRefinement(*latents, *networks, batch, seed)
    shape_flow = trained("shape_slat_flow_model_64", work / "image_encoder", train.device)
    return TextureRefinement(*latents, *networks, batch, seed, shape_flow)


@torch.no_grad()
def _latents(name: str, bank: AssetBank, colourings: int, work: Path) -> LatentBank:
    latents = LatentBank(bank, colourings, seed=1)
    if name != "image_encoder":
        latents.encode_images(trained("image_encoder", work / "image_encoder", bank.device))
    if name == "sparse_structure_flow":
        latents.encode_structure(trained("sparse_structure_encoder", work / "sparse_structure_vae", bank.device))
    else:
        latents.encode_shape(trained("shape_slat_encoder", work / "shape_vae", bank.device), work / "shape_vae")
    if name == "image_encoder":
        latents.encode_texture(trained("tex_slat_encoder", work / "texture_vae", bank.device), work / "texture_vae")
    elif name == "texture_refinement":
        latents.read_texture_moments(work / "texture_vae")
    return latents
