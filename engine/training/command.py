# SPDX-License-Identifier: GPL-3.0-or-later
"""``train``: data, autoencoders, image encoder, flows and the finished model set, stage by stage, resumable."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from ..starter.dataset import build_dataset, read_dataset
from .autoencoders import ShapeVAE, SparseStructureVAE, TextureVAE, trained
from .bank import AssetBank
from .export import export_model_set
from .flows import FLOWS
from .image_encoder import ImageEncoderStage
from .latents import LatentBank
from .loop import Stage, Trainer
from .presets import Preset, preset

AUTOENCODERS = {stage.name: stage for stage in (SparseStructureVAE, ShapeVAE, TextureVAE, ImageEncoderStage)}
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
    for group in chosen.parallel:
        print(f"[{time.monotonic() - started:.0f} s] training {', '.join(group)}", flush=True)
        bootstrap = Path(__file__).resolve().parent.parent / "__main__.py"
        command = [sys.executable, "-I", "-X", "utf8", "-u", str(bootstrap), "train", *arguments, "--stage"]
        children = [subprocess.Popen([*command, name]) for name in group]
        failed = [name for name, child in zip(group, children, strict=True) if child.wait() != 0]
        if failed:
            raise SystemExit(f"Training of {', '.join(failed)} failed; running the command again continues from there.")
    export_model_set(options.work, options.output)
    print(f"[{time.monotonic() - started:.0f} s] the model set is in {options.output}", flush=True)


def _make_data(chosen: Preset, options: argparse.Namespace) -> None:
    for name, first, count, seconds in (
        ("held_out", HELD_OUT_SEED, chosen.validation_assets, 120.0),
        ("train", 0, chosen.assets, chosen.data_seconds),
    ):
        build_dataset(options.work / "data" / name, first, count, chosen.views, options.workers, seconds)


def _run_stage(name: str, chosen: Preset, options: argparse.Namespace) -> None:
    if options.device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // max(len(g) for g in chosen.parallel if name in g)))
    else:
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    train = AssetBank(read_dataset(options.work / "data" / "train"), device)
    held_out = AssetBank(read_dataset(options.work / "data" / "held_out"), device)
    budget = chosen.stages[name]
    if name in AUTOENCODERS:
        stage: Stage = AUTOENCODERS[name](train, held_out, budget.batch, options.seed)
    else:
        encoder = trained("image_encoder", options.work / "image_encoder", device)
        latents = _latents(name, train, chosen.colourings, options.work)
        latents.held_out = _latents(name, held_out, 1, options.work)
        stage = FLOWS[name](train, held_out, latents, encoder, budget.batch, options.seed)
    Trainer(stage, budget.schedule, options.work / name, report=lambda line: print(line, flush=True)).run()


@torch.no_grad()
def _latents(name: str, bank: AssetBank, colourings: int, work: Path) -> LatentBank:
    latents = LatentBank(bank, colourings, seed=1)
    if name == "sparse_structure_flow":
        latents.encode_structure(trained("sparse_structure_encoder", work / "sparse_structure_vae", bank.device))
    else:
        latents.encode_shape(trained("shape_slat_encoder", work / "shape_vae", bank.device), work / "shape_vae")
    if name == "texture_flow":
        latents.encode_texture(trained("tex_slat_encoder", work / "texture_vae", bank.device), work / "texture_vae")
    return latents
