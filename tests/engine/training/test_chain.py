# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole training chain on three assets: every stage steps, resumable files appear, the model set loads."""

import pytest
import torch
from espalier.engine.starter.dataset import make_dataset
from espalier.engine.training.autoencoders import fold_scale, trained
from espalier.engine.training.bank import AssetBank, ragged_rows, token_batches
from espalier.engine.training.command import AUTOENCODERS, READERS, REFINED, _latents, build_stage
from espalier.engine.training.export import STAGE_OF, export_model_set, lean_to_recall, pack, quantise
from espalier.engine.training.loop import Schedule, Trainer
from espalier.engine.training.refinement import imperfect_sites
from espalier.engine.weights.model_set import load_model_set

STEPS = Schedule(seconds=600, max_steps=2, learning_rate=1e-3, warmup=1, log_every=1)
BATCH = {"sparse_structure_vae": 2, "image_encoder": 2, "sparse_structure_flow": 2}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bank():
    return AssetBank(make_dataset(range(3), views=2), CPU)


@pytest.fixture(scope="module")
def work(bank, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    for name in (*AUTOENCODERS, *READERS, *REFINED):
        stage = build_stage(name, bank, bank, 1, folder, BATCH.get(name, 5000 if name in AUTOENCODERS else 500), 0)
        Trainer(stage, STEPS, folder / name, report=lambda _: None).run()
    return folder


@pytest.mark.slow
def test_the_exported_set_loads_and_fits_into_the_package(work, tmp_path):
    export_model_set(work, tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 20e6
    models = load_model_set(tmp_path, precision="float32")
    for name in ("shape_slat_flow_model_64", "tex_slat_decoder", "sparse_structure_decoder"):
        exact = lean_to_recall(name, trained(name, work / STAGE_OF[name], CPU).state_dict())
        for key, value in models.model(name).state_dict().items():
            torch.testing.assert_close(value, exact[key], atol=exact[key].abs().max().item() / 127 + 1e-5, rtol=1e-2)


@pytest.mark.slow
def test_the_latents_of_the_flows_are_normalised(work, bank):
    latents = _latents("image_encoder", bank, 1, work)
    assert latents.shape_feats.mean().abs() < 0.2 and abs(latents.shape_feats.std() - 1) < 0.3
    assert len(latents.cells) == len(latents.shape_feats) == latents.texture_feats.shape[1] == latents.offsets[-1]


@pytest.mark.slow
def test_the_flows_see_the_tokens_of_every_view(work, bank):
    latents = _latents("texture_refinement", bank, 1, work)
    assert latents.tokens.shape[:2] == (3, 2) and latents.tokens.float().std() > 0.5


def test_folding_the_scale_divides_the_latent_and_keeps_the_decoding(bank):
    stage = AUTOENCODERS["sparse_structure_vae"](bank, bank, 2, 0)
    x, scale = bank.occupancy(torch.arange(3)), torch.linspace(0.5, 4, 8)
    with torch.no_grad():
        before = stage.encoder(x)
        decoded = stage.decoder(before)
        fold_scale(stage.encoder, stage.decoder, scale)
        after = stage.encoder(x)
        torch.testing.assert_close(after, before / scale.view(1, -1, 1, 1, 1), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(stage.decoder(after), decoded, atol=1e-4, rtol=1e-3)


def test_quantised_rows_are_within_half_a_step():
    weight = torch.randn(32, 3, 3, 3, 16, generator=torch.Generator().manual_seed(0))
    values, scale = quantise(weight)
    assert values.dtype == torch.int8 and scale.shape == (32, 1, 1, 1, 1)
    assert ((values * scale.float() - weight).abs() <= 0.51 * scale.float()).all()


def test_small_and_one_dimensional_tensors_keep_half_precision():
    packed = pack({"bias": torch.ones(4096), "tiny": torch.ones(4, 4), "matrix": torch.ones(64, 64)})
    assert {name: t.dtype for name, t in packed.items()} == {
        "bias": torch.float16,
        "tiny": torch.float16,
        "matrix": torch.int8,
        "matrix.scale": torch.float16,
    }


def test_ragged_rows_are_those_of_the_items_in_order():
    rows, batch = ragged_rows(torch.tensor([0, 2, 5, 9]), torch.tensor([2, 0]), CPU)
    assert rows.tolist() == [5, 6, 7, 8, 0, 1] and batch.tolist() == [0, 0, 0, 0, 1, 1]


def test_token_batches_hold_items_of_similar_size():
    counts = torch.arange(100, 200)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        ids = token_batches(counts.argsort(), counts, 1000, generator)
        chosen = counts[ids]
        assert len(ids.unique()) == len(ids) and 800 < chosen.sum() <= 1000
        assert chosen.max() - chosen.min() <= 30


def test_voxels_colours_and_cells_belong_together(bank):
    ids = torch.tensor([2, 0])
    voxels = bank.voxels(ids)
    materials = bank.draw_materials(2, torch.Generator().manual_seed(0))
    attributes, occupied = bank.attributes(voxels, materials), bank.occupancy(ids)[:, 0]
    cells = bank.cell_attributes(ids, materials)
    x, y, z = (voxels.coords[:, 1:].long() // 4).unbind(1)
    assert (occupied[voxels.batch, x, y, z] == 1).all()
    assert int(occupied.sum()) == len(torch.stack([voxels.batch, x, y, z]).unique(dim=1).T)
    inside = voxels.batch == 0
    first = (x[inside][0], y[inside][0], z[inside][0])
    same = inside & (x == first[0]) & (y == first[1]) & (z == first[2])
    torch.testing.assert_close(cells[0, *first], attributes[same].mean(0), atol=2e-3, rtol=1e-2)


def test_recolouring_keeps_half_of_the_assets(bank):
    ids = torch.zeros(64, dtype=torch.long)
    voxels = bank.voxels(ids)
    generator = torch.Generator().manual_seed(0)
    attributes = bank.attributes(voxels, bank.draw_materials(64, generator))
    painted = bank.recolour_half(voxels, attributes, generator)
    kept = torch.stack([(painted == attributes)[voxels.batch == b].all() for b in range(64)])
    assert 16 < int(kept.sum()) < 48


def test_a_disturbed_structure_holds_true_voxels_only_and_empty_extra_cells(bank):
    ids = torch.tensor([1, 2])
    voxels = bank.voxels(ids)
    sites, rows = imperfect_sites(bank, ids, voxels, torch.Generator().manual_seed(0))
    finest = sites.finer.fine.finer.fine
    assert torch.equal(finest.coords, voxels.coords[rows])
    occupied = bank.occupancy(ids)[:, 0]
    b, x, y, z = sites.coords.long().unbind(1)
    true = occupied[b, x, y, z] > 0
    assert 0 < int((~true).sum()) < len(true)
    assert torch.equal(sites.finer.mask(len(sites)).any(1), true)
    assert len(rows) < len(voxels.coords)
