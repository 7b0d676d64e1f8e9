# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts that a graphics card finds and lays flat: the processor's where a step has one answer, as good elsewhere."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.lookup.raster import overlapping_texels, rasterise
from espalier.engine.mesh.surface.tensor_reductions import Sums, order_by
from espalier.engine.mesh.surface.topology import edge_table, face_vectors
from espalier.engine.mesh.unwrap import bitmap_packing, tensor_relax
from espalier.engine.mesh.unwrap import relax as relaxing
from espalier.engine.mesh.unwrap.charts import distances_from, find_charts, winding_pairs
from espalier.engine.mesh.unwrap.flatten import flatten, stretches
from espalier.engine.mesh.unwrap.outlines import Trouble, chart_points, crossings, cut_through, overfull_points
from espalier.engine.mesh.unwrap.tensor_charts import find_charts as find_on_card
from espalier.engine.mesh.unwrap.tensor_charts import neighbours, shortest_ways
from espalier.engine.mesh.unwrap.tensor_flatten import flatten as flatten_on_card
from espalier.engine.mesh.unwrap.tensor_flatten import stretches as stretches_on_card
from espalier.engine.mesh.unwrap.tensor_outlines import Trouble as TroubleOnCard
from espalier.engine.mesh.unwrap.tensor_outlines import chart_points as points_on_card
from espalier.engine.mesh.unwrap.tensor_outlines import crossings as crossings_on_card
from espalier.engine.mesh.unwrap.tensor_outlines import cut_through as cut_on_card
from espalier.engine.mesh.unwrap.tensor_outlines import overfull_points as overfull_on_card
from espalier.engine.mesh.unwrap.tensor_tubes import find_tubes as find_tubes_on_card
from espalier.engine.mesh.unwrap.tensor_unroll import unrolled as unrolled_on_card
from espalier.engine.mesh.unwrap.tubes import find_tubes
from espalier.engine.mesh.unwrap.unroll import unrolled
from espalier.engine.mesh.unwrap.unwrap import unwrap
from espalier.engine.mesh.unwrap.widths import narrowest
from espalier.tests.engine.mesh.both_ways import CARD, there
from espalier.tests.engine.mesh.shapes import cube, grid_faces, merge, moebius, sphere, torus
from espalier.tooling.finishing_bench.objects import OBJECTS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

CLOSE = 1e-5
SIZE = 256


def never():
    return False


def rough(vertices, faces, size=0.002):
    """The surface without two distances that are equal: between such either may be chosen."""
    return vertices + np.random.default_rng(0).normal(scale=size, size=vertices.shape), faces.astype(np.int64)


SHAPES = {
    "torus": rough(*torus(40, 20)),
    "pieces": rough(*merge(cube(), sphere(rows=10, columns=14), moebius(30), cube(0.1))),
    "one face": (np.eye(3), np.array([[0, 1, 2]])),
    "knot": rough(*OBJECTS["knot"](0.04), 0.0005),
}


def surface(name):
    """vertices, faces, pairs of half-edges, and the side of a texel."""
    vertices, faces = SHAPES[name]
    with choice.plain_torch():
        left, right = winding_pairs(faces, edge_table(faces))
    area = np.linalg.norm(face_vectors(vertices, faces), axis=1).sum()
    return vertices, faces, left, right, float(np.sqrt(area)) / SIZE


def charted(name, seed=None):
    """A surface in charts: its faces, pairs, labels and points with their places in space and laid flat."""
    vertices, faces, left, right, texel = surface(name)
    with choice.plain_torch():
        label = find_charts(vertices, faces, left, right, texel, np.radians(90.0), True)
        order = np.argsort(label, kind="stable")
        faces, label = faces[order], label[order]
        left, right = winding_pairs(faces, edge_table(faces))
        points = chart_points(label, left, right)
        exact = np.empty((len(points.chart), 3))
        exact[points.corner] = vertices[faces]
        flat = flatten(exact, points.corner, label)
    if seed is not None:
        flat = flat + np.random.default_rng(seed).normal(scale=0.02, size=flat.shape)
    return SimpleNamespace(
        vertices=vertices, faces=faces, left=left, right=right, label=label, points=points, exact=exact, flat=flat
    )


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_the_same_charts_are_found(name, noisy, card):
    vertices, faces, left, right, texel = surface(name)
    for cone in np.radians([90.0, 40.0]):
        expected = find_charts(vertices, faces, left, right, texel, cone, noisy)
        found = find_on_card(*there(vertices, faces, left, right), texel, cone, noisy)
        assert np.array_equal(found.cpu().numpy(), expected)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_ways_are_the_shortest(data):
    rows, columns = data.draw(st.integers(2, 9)), data.draw(st.integers(2, 9))
    faces = grid_faces(rows, columns, False, False)
    left, right = winding_pairs(faces, edge_table(faces))
    count, random = len(faces), np.random.default_rng(data.draw(st.integers(0, 99)))
    long, start = random.random(len(left)) + 0.01, np.unique(random.integers(0, count, 3))
    lead = random.random(len(start))
    expected, origin = distances_from(count, left // 3, right // 3, long, start, lead)
    way = torch.full((3 * count,), torch.inf, dtype=torch.float64)
    way[left], way[right] = (torch.from_numpy(long),) * 2
    begin = torch.full((count,), torch.inf, dtype=torch.float64)
    begin[start] = torch.from_numpy(lead)
    beside = neighbours(count, torch.from_numpy(left), torch.from_numpy(right))
    length, came = shortest_ways(beside, way.view(-1, 3), begin)
    assert np.allclose(length, expected, atol=1e-9)
    assert np.array_equal(came, origin)


def test_operations_and_waits_hardly_grow_with_the_mesh(card):
    """Nothing goes through faces or charts one after the other."""
    if card is None:
        pytest.skip("operations are counted on the pretended card only")
    counted = []
    for rows in (10, 20):
        vertices, faces = rough(*sphere(rows=rows, columns=2 * rows), 0.0005)
        with choice.plain_torch():
            left, right = winding_pairs(faces, edge_table(faces))
        before = card.operations, card.waits.total()
        label = find_on_card(*there(vertices, faces, left, right), 0.002, np.radians(60.0), True)
        points = points_on_card(label, *there(left, right))
        flat = torch.empty((len(points.chart), 2), dtype=torch.float64, device=CARD)
        flat[points.corner] = there(vertices[faces][..., :2])[0]
        assert points.charts > 4
        crossings_on_card(flat, points)
        overfull_on_card(flat, points)
        counted.append((card.operations - before[0], card.waits.total() - before[1]))
    (operations, waits), (more, longer) = counted
    assert more < 1.6 * operations < 16_000 and longer < 1.6 * waits < 1600


@pytest.mark.parametrize("name", SHAPES)
def test_charts_lie_as_on_the_processor(name, card):
    them = charted(name)
    inputs = there(them.exact, them.points.corner, them.label, them.points.chart)
    found = flatten_on_card(*inputs).cpu().numpy()
    assert np.abs(found - them.flat).max() < CLOSE
    # Begun elsewhere they come to lie elsewhere.
    start = them.flat * [1.3, 0.8]
    again = flatten_on_card(*inputs, *there(start)).cpu().numpy()
    assert np.abs(again - flatten(them.exact, them.points.corner, them.label, start)).max() < CLOSE
    for ours, theirs in zip(
        stretches_on_card(*there(them.exact, found, them.points.corner)),
        stretches(them.exact, found, them.points.corner),
        strict=True,
    ):
        assert np.abs(ours.cpu().numpy() - theirs).max() < CLOSE * np.abs(theirs).max()


def test_mirrored_faces_are_spread_out_as_on_the_processor(card):
    """A crumpled disc: its inner points lie on a heap."""
    points = np.stack([*np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9), indexing="ij"), np.zeros((9, 9))], -1)
    inner = (np.abs(points[..., :2] - 0.5) < 0.3).all(axis=2)
    points[inner] += np.random.default_rng(1).normal(scale=0.3, size=(inner.sum(), 3))
    points, faces = points.reshape(-1, 3), grid_faces(9, 9, False, False)
    label, of = np.zeros(len(faces), dtype=np.int64), np.zeros(len(points), dtype=np.int64)
    expected = flatten(points, faces, label)
    found = flatten_on_card(*there(points, faces, label, of)).cpu().numpy()
    assert np.abs(found - expected).max() < CLOSE


def test_what_a_chart_becomes_depends_on_no_other_chart(card):
    them = charted("torus")
    together = flatten_on_card(*there(them.exact, them.points.corner, them.label, them.points.chart)).cpu().numpy()
    chosen, own = them.label == 3, them.points.chart == 3
    corner = them.points.corner[chosen] - np.flatnonzero(own)[0]
    zero = np.zeros(len(corner), dtype=np.int64)
    alone = flatten_on_card(*there(them.exact[own], corner, zero, zero[:1].repeat(own.sum()))).cpu().numpy()
    assert np.abs(alone - together[own]).max() < 1e-9


@pytest.mark.parametrize("name", SHAPES)
def test_points_and_places_where_charts_cover_themselves_are_the_same(name, card):
    for seed in (None, 0):
        them = charted(name, seed)
        points = points_on_card(*there(them.label, them.left, them.right))
        assert np.array_equal(points.corner.cpu(), them.points.corner)
        assert np.array_equal(points.chart.cpu(), them.points.chart)
        (flat,) = there(them.flat)
        expected = crossings(them.flat, them.points)
        assert np.array_equal(crossings_on_card(flat, points).cpu(), expected)
        assert (len(expected) > 0) == (seed is not None and name != "one face")
        for ours, theirs in zip(overfull_on_card(flat, points), overfull_points(them.flat, them.points), strict=True):
            assert np.array_equal(ours.cpu(), theirs)


@pytest.mark.parametrize("name", ["torus", "knot"])
def test_charts_are_cut_through_the_same_places(name, card):
    them, random = charted(name), np.random.default_rng(0)
    face = np.unique(random.integers(0, len(them.faces), 12))
    middle = them.vertices[them.faces].mean(axis=1) + random.normal(scale=1e-4, size=(len(them.faces), 3))
    for trouble in (Trouble(face, them.vertices[them.faces[face, 0]]), Trouble.none()):
        expected = cut_through(them.label, middle, them.left, them.right, trouble)
        found = cut_on_card(
            *there(them.label, middle, them.left, them.right), TroubleOnCard(*there(trouble.face, trouble.place))
        )
        assert np.array_equal(found.cpu(), expected)
        assert expected.max() > them.label.max()


def test_halves_of_a_tube_are_unrolled_the_same(card):
    """Two tubes, each of two half shells that meet along both sides."""
    u, v = np.meshgrid(np.linspace(0, 0.8, 17), 2 * np.pi * np.arange(12) / 12, indexing="ij")
    one = np.stack([u, 0.05 * np.cos(v), 0.05 * np.sin(v)], -1).reshape(-1, 3), grid_faces(17, 12, False, True)
    vertices, faces = merge(one, (one[0] * [0.7, 1.0, 1.0] + [0.0, 0.3, 0.0], one[1]))
    middle = vertices[faces].mean(axis=1)
    second, pair = middle[:, 2] > 0.001, (middle[:, 1] > 0.15).astype(np.int64)
    left, right = winding_pairs(faces, edge_table(faces))
    uv = vertices[faces][..., :2] * np.where(second, 1.0, -1.0)[:, None, None]
    expected, seam = unrolled(faces, vertices, uv, pair, second, left, right)
    found, cut = unrolled_on_card(*there(faces, vertices, uv, pair, second, left, right))
    assert np.array_equal(cut.cpu(), seam) and seam.any()
    assert np.abs(found.cpu().numpy() - expected).max() < 1e-9


class Backwards(TorchDispatchMode):
    """What is written to a list of places is written from the last to the first: a card promises no order."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation is torch.ops.aten.index_put_.default:
            values, places, written = args
            places = torch.broadcast_tensors(*places)
            written = written.expand(*places[0].shape, *values.shape[len(places) :])
            args = values, [place.flip(0) for place in places], written.flip(0)
        return operation(*args, **(kwargs or {}))


def test_where_points_begin_depends_on_no_order_of_writing(monkeypatch):
    """Corners of a point begin apart where a chart was laid beside another one."""
    vertices, faces, left, right, texel = surface("torus")
    begun = []
    monkeypatch.setattr(tensor_relax, "flatten", lambda *arguments: begun.append(arguments[-1]) or arguments[-1])
    exact, corners, left, right = map(torch.from_numpy, (vertices, faces, left, right))
    work = tensor_relax._Relaxation(exact, corners, len(faces), texel, None, lambda: None)
    members, start = torch.arange(len(faces)), torch.rand(len(faces), 3, 2, dtype=torch.float64)
    given = exact, members, torch.zeros_like(members), left, right, start
    work._flatten(*given)
    with Backwards():
        work._flatten(*given)
    assert torch.equal(*begun)
    points = chart_points(np.zeros(len(faces), dtype=np.int64), left.numpy(), right.numpy())
    expected = np.empty((len(points.chart), 2))
    expected[points.corner] = start
    assert np.array_equal(begun[0], expected)


@pytest.fixture
def any_size(monkeypatch):
    """Meshes of any size go to the card."""
    for module in (relaxing, bitmap_packing):
        monkeypatch.setattr(module, "MANY_FACES", 1)


@pytest.fixture(params=["processor", pytest.param("gpu", marks=pytest.mark.gpu)])
def quick_card(request, any_size, monkeypatch):
    """The same with the processor itself in the place of the card: the pretended one takes long for many steps."""
    if request.param == "gpu" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if request.param == "processor":
        for module in (relaxing, bitmap_packing):
            monkeypatch.setattr(
                module,
                "on_large_card",
                lambda function, size: None if choice.switched_off() else function(torch.device("cpu")),
            )


def measures(vertices, faces, layout, size):
    """Charts, the share of texels used, shares of narrow charts and mirrored faces, how much texels' sides differ."""
    assert len(overlapping_texels(layout.uv, size)[0]) == 0
    area = 2.0 * np.linalg.norm(face_vectors(vertices, faces), axis=1)
    uv = layout.uv.astype(np.float64)
    edges = uv[:, 1:] - uv[:, :1]
    flat = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    mirrored = area[flat < -1e-9].sum() / area.sum()
    charts = int(layout.chart.max()) + 1
    width = narrowest(uv * size, layout.chart, charts)[1]
    thin = np.bincount(layout.chart, area)[width < 4.0].sum() / area.sum()
    density = np.sqrt(np.maximum(flat, 0.0) / np.maximum(area, 1e-30))
    order = np.argsort(density)
    low, high = density[order[np.searchsorted(np.cumsum(area[order]) / area.sum(), [0.05, 0.95])]]
    return charts, rasterise(layout.uv, size).mask().mean(), thin, mirrored, high / low


@pytest.mark.parametrize(
    ("name", "detail"),
    [("knot", 0.05), ("sphere", 0.06), ("foliage", 0.12), ("gears", 0.12), ("shells", 0.05), ("wires", 0.04)],
)
def test_layouts_are_as_good_as_the_processors(name, detail, quick_card):
    vertices, faces = OBJECTS[name](detail)
    faces = faces.astype(np.int64)
    with choice.plain_torch():
        expected = unwrap(vertices, faces, SIZE, never)
    found = unwrap(vertices, faces, SIZE, never)
    assert found.shows == [] and len(found.events) <= len(expected.events) + 1
    (charts, use, thin, turned, spread), (others, used, thinner, over, even) = (
        measures(vertices, faces, layout, SIZE) for layout in (found, expected)
    )
    assert charts <= 1.15 * others + 2
    assert use >= 0.97 * used
    assert thin <= thinner + 0.01
    assert turned <= over + 1e-4
    assert spread <= 1.02 * even


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_faces_get_a_place(data):
    count = data.draw(st.integers(3, 8))
    corner = st.lists(st.integers(0, count - 1), min_size=3, max_size=3, unique=True)
    faces = np.array(data.draw(st.lists(corner, min_size=1, max_size=14)), dtype=np.int64)
    vertices = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 4, (count, 3)) / 4.0
    uv, chart, rest = tensor_relax.relax(vertices, faces, 0.01, never, torch.device("cpu"))
    assert uv.shape == (len(faces), 3, 2) and ((chart < 0) != (rest < 0)).all()
    edges = uv[:, 1:] - uv[:, :1]
    area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    # A face without area in space has no side to lie on.
    shown = (chart >= 0) & (np.linalg.norm(face_vectors(vertices, faces), axis=1) > 1e-6)
    assert np.isfinite(uv[chart >= 0]).all() and (area[shown] > 0).all()


def test_the_same_mesh_gives_the_same_bytes_with_any_number_of_threads(card):
    vertices, faces, _, _, texel = surface("pieces")
    threads, found = torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        uv, chart, _ = tensor_relax.relax(vertices, faces, texel, never, CARD)
        found.append((uv.tobytes(), chart.tobytes()))
    torch.set_num_threads(threads)
    assert found[0] == found[1]


@pytest.mark.parametrize("length", [0.6, 0.3, 0.2])
def test_the_same_tubes_are_found_and_opened(length, card):
    """Wires, a ring, and what is no tube: a ball and what has more openings than two."""
    vertices, faces = rough(*merge(OBJECTS["wires"](0.03), sphere(0.05, rows=8, columns=12), torus(30, 8, 0.2, 0.01)))
    faces = np.delete(faces, slice(40, 400, 45), axis=0)
    with choice.plain_torch():
        left, right = winding_pairs(faces, edge_table(faces))
        expected = find_tubes(vertices, faces, left, right, length, 0.2)
    found = find_tubes_on_card(*there(vertices, faces, left, right), length, 0.2)
    assert len(np.unique(expected.label)) > 50
    for name in ("faces", "label", "left", "right", "cut"):
        assert np.array_equal(getattr(found, name).cpu(), getattr(expected, name)), name
    assert np.abs(found.start.cpu().numpy() - expected.start).max() < 1e-7


def test_small_meshes_small_cards_and_full_cards_leave_it_to_the_processor(card, monkeypatch):
    vertices, faces = torus(16, 8)
    asked = []

    def relax(*arguments):
        asked.append(arguments[-1].type)
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(tensor_relax, "relax", relax)
    with choice.plain_torch():
        expected = unwrap(vertices, faces, SIZE, never)
    assert np.array_equal(unwrap(vertices, faces, SIZE, never).uv, expected.uv) and asked == []
    monkeypatch.setattr(relaxing, "MANY_FACES", 1)
    assert np.array_equal(unwrap(vertices, faces, SIZE, never).uv, expected.uv) and asked == ["cuda"]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=8 << 30))
    assert np.array_equal(unwrap(vertices, faces, SIZE, never).uv, expected.uv) and asked == ["cuda"]


def test_stopping_stops(card, any_size):
    def rest():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        relaxing.relax(*torus(16, 8), 0.01, rest)


@pytest.mark.parametrize("sizes", [[0, 3, 0], [5], [1, 200, 64, 65, 9000, 0, 2]])
def test_sums_of_long_groups_are_those_of_all_their_rows(sizes, card):
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    values = np.random.default_rng(1).random((len(group), 2))
    expected = np.stack([np.bincount(group, column, minlength=len(sizes)) for column in values.T], 1)
    found = Sums(*there(group), len(sizes))(*there(values))
    assert np.allclose(found.cpu(), expected, rtol=1e-12)
    (ordered,) = there(np.sort(group))
    (rows,) = there(values[np.argsort(group, kind="stable")])
    assert torch.equal(Sums(ordered, len(sizes), ascending=True)(rows), found)


def test_orders_are_those_of_numpy():
    keys = np.random.default_rng(0).integers(0, 4, (3, 50))
    assert np.array_equal(order_by(*map(torch.from_numpy, keys)), np.lexsort(keys))
