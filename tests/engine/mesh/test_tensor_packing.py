# SPDX-License-Identifier: GPL-3.0-or-later
"""A graphics card measures, widens and moves charts, and marks their cells, as the processor does."""

import numpy as np
import pytest
from espalier.engine.kernels import choice
from espalier.engine.mesh.surface.tensor_reductions import Sums
from espalier.engine.mesh.unwrap import bitmap_packing
from espalier.engine.mesh.unwrap.tensor_packing import FacesOnCard
from espalier.engine.mesh.unwrap.tensor_widths import narrowest as narrowest_on_card
from espalier.engine.mesh.unwrap.tensor_widths import ranges as ranges_on_card
from espalier.engine.mesh.unwrap.tensor_widths import widened as widened_on_card
from espalier.engine.mesh.unwrap.widen import widened
from espalier.engine.mesh.unwrap.widths import narrowest, ranges
from espalier.tests.engine.mesh.both_ways import CARD, there
from espalier.tests.engine.mesh.shapes import grid_faces

pytest.importorskip("numba")


def charts(count=24, seed=0):
    """Bent sheets of many sizes, some hardly wider than a line: faces float64 [F, 3, 2] and their charts [F]."""
    random, faces, label = np.random.default_rng(seed), [], []
    for number in range(count):
        rows, columns = random.integers(2, 9, 2)
        u, v = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
        size = random.uniform(0.02, 0.3, 2) * (1.0, 0.002 if number % 6 == 5 else 1.0)
        angle = random.uniform(0, 2 * np.pi)
        points = np.stack([u, v + 0.3 * u * u], -1).reshape(-1, 2) * size
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        some = grid_faces(rows, columns, False, False)
        faces.append((points @ turn + random.uniform(-1, 1, 2))[some])
        label.append(np.full(len(some), number))
    order = random.permutation(sum(map(len, label)))
    return np.concatenate(faces)[order], np.concatenate(label)[order]


def test_charts_are_as_wide_and_as_long(card):
    uv, chart = charts()
    for expected, found in zip(
        (*narrowest(uv, chart, 25), *narrowest(uv, chart, 25, 6)),
        (*narrowest_on_card(*there(uv, chart), 25), *narrowest_on_card(*there(uv, chart), 25, 6)),
        strict=True,
    ):
        assert np.array_equal(np.isinf(expected), np.isinf(found.cpu()))
        assert np.abs(np.nan_to_num(expected, posinf=0) - np.nan_to_num(found.cpu(), posinf=0)).max() < 1e-9
    cos, sin = np.cos(np.arange(25.0)), np.sin(np.arange(25.0))
    given = there(uv, chart, cos, sin)
    for expected, found in zip(
        ranges(uv, chart, cos, sin), ranges_on_card(*given[:2], Sums(given[1], 25), *given[2:]), strict=True
    ):
        assert np.array_equal(expected, found.cpu())


@pytest.mark.parametrize("least", [1e-6, 0.01, 0.3])
def test_narrow_charts_are_widened_the_same(least, card):
    uv, chart = charts()
    expected = widened(uv, chart, 24, least)
    assert (expected != uv).any() == (least > 1e-6)
    assert np.abs(widened_on_card(*there(uv, chart), 24, least).cpu().numpy() - expected).max() < 1e-9


@pytest.mark.parametrize("texels", [1, 2])
def test_the_same_cells_are_touched_and_faces_go_to_the_same_places(texels, card):
    uv, chart = charts()
    here, on_card = bitmap_packing._Faces(uv, chart), FacesOnCard(uv, chart, CARD)
    grid = bitmap_packing._Grid(64, 2, texels)
    for _ in range(2):
        for expected, found in zip(here.measures(), on_card.measures(), strict=True):
            assert np.abs(found - expected).max() < 1e-12
        box = bitmap_packing._boxes(here.measures()[0], 80.0, grid)
        first = np.concatenate([[0], np.cumsum(box.prod(axis=1))])
        given = 80.0, grid.margin, box, first, texels
        expected = here.cells(*given)
        assert 0 < expected.sum() < expected.size
        assert np.array_equal(on_card.cells(*given), expected)
        places = np.stack([np.arange(24) * 3, np.arange(24) * 5, np.arange(24) % 4], 1)
        moved = here.placed(80.0, grid.margin, places, box, 1)
        assert np.abs(on_card.placed(80.0, grid.margin, places, box, 1) - moved).max() < 1e-9
        here.widen(0.02)
        on_card.widen(0.02)


def test_cells_are_the_same_in_any_portions(card, monkeypatch):
    from espalier.engine.mesh.unwrap import tensor_packing

    uv, chart = charts()
    faces, grid = FacesOnCard(uv, chart, CARD), bitmap_packing._Grid(64, 2, 1)
    box = bitmap_packing._boxes(faces.measures()[0], 80.0, grid)
    given = 80.0, grid.margin, box, np.concatenate([[0], np.cumsum(box.prod(axis=1))]), 1
    expected = faces.cells(*given)
    for pairs in (40, 400):
        monkeypatch.setattr(tensor_packing, "_PAIRS_AT_ONCE", pairs)
        assert np.array_equal(faces.cells(*given), expected)


@pytest.mark.parametrize(("size", "padding"), [(128, 4), (128, 1), (64, 4)])
def test_large_meshes_are_packed_on_the_card_to_the_same_layout(size, padding, card, monkeypatch):
    uv, chart = charts()
    with choice.plain_torch():
        expected = bitmap_packing.pack_bitmaps(uv, chart, size, padding)
    used = []
    placed = FacesOnCard.placed
    monkeypatch.setattr(FacesOnCard, "placed", lambda self, *given: used.append(1) or placed(self, *given))
    for least, times in ((len(uv) + 1, 0), (len(uv), 1)):
        monkeypatch.setattr(bitmap_packing, "MANY_FACES", least)
        assert np.abs(bitmap_packing.pack_bitmaps(uv, chart, size, padding) - expected).max() < 1e-6
        assert len(used) == times


def test_too_many_charts_for_the_texture_have_no_layout(card, monkeypatch):
    monkeypatch.setattr(bitmap_packing, "MANY_FACES", 1)
    assert bitmap_packing.pack_bitmaps(*charts(), 24, 4) is None
