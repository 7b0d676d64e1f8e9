# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for any mesh that goes through the dual grid."""

import math

import pytest
import torch
from espalier.engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid
from espalier.tests.engine.ovoxel.shapes import box, edge_use_counts, joined, square_sheet, uv_sphere
from hypothesis import given, settings
from hypothesis import strategies as st


def surface_of(grid, resolution):
    return dual_grid_to_mesh(grid.coords, grid.local, grid.intersected, None, resolution)


def world(grid, resolution):
    return (grid.coords + grid.local) / resolution - 0.5


def assert_same_grid(a, b):
    assert torch.equal(a.coords, b.coords)
    assert torch.equal(a.intersected, b.intersected)
    torch.testing.assert_close(a.local, b.local, atol=1e-4, rtol=0)


@pytest.mark.parametrize("resolution", [32, 64])
def test_closed_sphere_gives_a_closed_manifold_of_euler_number_two(resolution):
    grid = mesh_to_dual_grid(*uv_sphere(0.4, 96, 128), resolution)
    assert int(grid.intersected.sum()) == len(grid.coords) - 2
    vertices, faces = surface_of(grid, resolution)
    assert len(faces) == 2 * int(grid.intersected.sum()), "a quad was dropped"
    edges, uses = edge_use_counts(faces)
    assert (uses == 2).all()
    assert len(vertices) - len(edges) + len(faces) == 2


@pytest.mark.parametrize("resolution", [16, 32, 64])
def test_round_trip_stays_within_half_a_voxel_diagonal(resolution):
    radius, centre = 0.4, torch.tensor([0.01, -0.02, 0.013])
    grid = mesh_to_dual_grid(*uv_sphere(radius, 48, 64, centre.tolist()), resolution)
    vertices, faces = surface_of(grid, resolution)
    samples = torch.cat([vertices, vertices[faces].mean(1)])
    error = ((samples - centre).norm(dim=1) - radius).abs().max()
    assert error < 0.5 * math.sqrt(3) / resolution


def test_fine_smooth_sphere_returns_within_a_tenth_of_a_voxel():
    resolution, centre = 64, torch.tensor([0.01, -0.02, 0.013])
    grid = mesh_to_dual_grid(*uv_sphere(0.4, 192, 256, centre.tolist()), resolution)
    assert ((world(grid, resolution) - centre).norm(dim=1) - 0.4).abs().max() < 0.1 / resolution


def test_dual_vertices_stay_inside_their_voxels():
    for weight in (0.0, 1e-2):
        grid = mesh_to_dual_grid(*joined(uv_sphere(0.3), square_sheet()), 24, regularization_weight=weight)
        assert torch.isfinite(grid.local).all()
        assert grid.local.min() >= 0 and grid.local.max() <= 1


@pytest.mark.parametrize(("regularization", "closeness"), [(1e-2, 0.15), (1e-3, 0.05)])
def test_open_sheet_stays_open_and_keeps_its_rim(regularization, closeness):
    resolution, half = 32, 0.31
    grid = mesh_to_dual_grid(*square_sheet(half), resolution, regularization_weight=regularization)
    vertices, faces = surface_of(grid, resolution)
    edges, uses = edge_use_counts(faces)
    assert (uses <= 2).all()
    rim = vertices[edges[uses == 1].unique()]
    sheet = vertices[faces.unique()]
    assert (sheet[:, 2] - (0.0123 + 0.07 * sheet[:, 0] - 0.05 * sheet[:, 1])).abs().max() < 0.01 / resolution
    from_rim = (half - rim[:, :2].abs().amax(1)).abs() * resolution
    assert from_rim.max() < closeness
    # One open loop around the sheet, each rim vertex between two rim edges.
    assert (torch.bincount(edges[uses == 1].flatten())[edges[uses == 1].unique()] == 2).all()


def test_nested_shells_stay_nested():
    grid = mesh_to_dual_grid(*joined(uv_sphere(0.4, 96, 128), uv_sphere(0.25, 96, 128)), 32)
    vertices, faces = surface_of(grid, 32)
    radius = vertices.norm(dim=1)
    outer = radius > 0.325
    assert (outer[faces].all(1) | ~outer[faces].any(1)).all(), "the shells are joined"
    assert radius[outer].min() > 0.38 and radius[~outer].max() < 0.27
    assert int(grid.intersected.sum()) == len(grid.coords) - 4
    assert (edge_use_counts(faces)[1] == 2).all()


def test_box_on_lattice_planes_counts_every_line_once():
    resolution = 16
    grid = mesh_to_dual_grid(*box((-0.25,) * 3, (0.25,) * 3), resolution)
    # Lines strictly above the lower face up to and including the upper one: 8 x 8 for each of the six faces.
    assert int(grid.intersected.sum()) == 6 * 8 * 8
    assert len(grid.coords) == 6 * 8 * 8 + 2
    vertices, faces = surface_of(grid, resolution)
    edges, uses = edge_use_counts(faces)
    assert (uses == 2).all()
    assert len(grid.coords) - len(edges) + len(faces) == 2
    assert ((vertices.abs().amax(1) - 0.25).abs() * resolution).max() < 1e-2, "more than regularisation moves a corner"


def test_corners_of_a_box_are_recovered():
    resolution, low, high = 32, (5.3 / 32 - 0.5,) * 3, (21.3 / 32 - 0.5,) * 3
    grid = mesh_to_dual_grid(*box(low, high), resolution, regularization_weight=1e-5)
    at = (grid.coords + grid.local).double()
    for corner in range(8):
        expected = torch.tensor([21.3 if corner >> axis & 1 else 5.3 for axis in range(3)], dtype=torch.float64)
        assert (at - expected).norm(dim=1).min() < 1e-3


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**16), resolution=st.sampled_from([9, 16, 31]))
def test_order_of_triangles_and_vertices_does_not_matter(seed, resolution):
    vertices, faces = joined(uv_sphere(0.37, 9, 11), square_sheet(0.4, 3), box((-0.2, -0.31, 0.1), (0.3, 0.22, 0.45)))
    generator = torch.Generator().manual_seed(seed)
    grid = mesh_to_dual_grid(vertices, faces, resolution)
    order = torch.randperm(len(vertices), generator=generator)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    shuffled = place[faces][torch.randperm(len(faces), generator=generator)]
    turn = torch.randint(3, (len(faces), 1), generator=generator)
    shuffled = shuffled.gather(1, (turn + torch.arange(3)) % 3)
    flipped = torch.where(torch.rand(len(faces), 1, generator=generator) < 0.5, shuffled, shuffled.flip(1))
    assert_same_grid(grid, mesh_to_dual_grid(vertices[order], flipped, resolution))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), count=st.integers(1, 30), resolution=st.sampled_from([4, 7, 16]))
def test_flags_equal_a_line_by_line_count_on_triangle_soup(seed, count, resolution):
    corners = (torch.rand((count, 3, 3), generator=torch.Generator().manual_seed(seed)) - 0.5) * 0.98
    grid = mesh_to_dual_grid(corners.view(-1, 3), torch.arange(3 * count).view(-1, 3), resolution)
    flagged = {
        (*cell, axis) for cell, row in zip(grid.coords.tolist(), grid.intersected) for axis in range(3) if row[axis]
    }
    assert flagged == crossed_edges(((corners + 0.5) * resolution).double(), resolution)


def crossed_edges(triangles, resolution):
    """Every inner grid edge against every triangle, by plane equation: slow and obvious."""
    found = set()
    lines = torch.arange(1, resolution, dtype=torch.float64)
    for axis in range(3):
        u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
        u, w = torch.meshgrid(lines, lines, indexing="ij")
        for triangle in triangles:
            a, b, c = triangle[:, [u_axis, w_axis]]
            area = (b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]
            wb = ((u - a[0]) * (c - a)[1] - (w - a[1]) * (c - a)[0]) / area
            wc = ((b - a)[0] * (w - a[1]) - (b - a)[1] * (u - a[0])) / area
            depth = triangle[0, axis] * (1 - wb - wc) + triangle[1, axis] * wb + triangle[2, axis] * wc
            for i, j in ((wb >= 0) & (wc >= 0) & (wb + wc <= 1)).nonzero().tolist():
                cell = [0, 0, 0]
                cell[u_axis], cell[w_axis], cell[axis] = i, j, int(depth[i, j])
                found.add((*cell, axis))
    return found


def test_arrays_and_thread_counts_give_the_same_bits():
    vertices, faces = joined(uv_sphere(0.37, 40, 50), square_sheet())
    expected = mesh_to_dual_grid(vertices, faces, 48)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            grid = mesh_to_dual_grid(vertices.double().numpy(), faces.int().numpy(), 48)
            assert torch.equal(grid.coords, expected.coords) and torch.equal(grid.intersected, expected.intersected)
            assert torch.equal(grid.local, expected.local)
    finally:
        torch.set_num_threads(threads)


def test_splitting_a_flat_triangle_changes_no_voxel_and_no_flag():
    vertices, faces = box((-0.3, -0.21, -0.17), (0.33, 0.24, 0.41))
    middle = vertices[faces].mean(1)
    finer = torch.cat(
        [torch.stack([faces[:, i], faces[:, (i + 1) % 3], len(vertices) + torch.arange(12)], 1) for i in range(3)]
    )
    coarse = mesh_to_dual_grid(vertices, faces, 24)
    fine = mesh_to_dual_grid(torch.cat([vertices, middle]), finer, 24)
    assert torch.equal(coarse.coords, fine.coords) and torch.equal(coarse.intersected, fine.intersected)


def test_doubled_vertices_along_a_seam_count_as_open_edges():
    vertices, faces = uv_sphere(0.37, 9, 11)
    welded = mesh_to_dual_grid(vertices, faces, 16)
    loose = mesh_to_dual_grid(vertices[faces].view(-1, 3), torch.arange(faces.numel()).view(-1, 3), 16)
    without = mesh_to_dual_grid(
        vertices[faces].view(-1, 3), torch.arange(faces.numel()).view(-1, 3), 16, boundary_weight=0
    )
    assert torch.equal(welded.coords, loose.coords)
    assert not torch.allclose(welded.local, loose.local, atol=1e-3)
    assert_same_grid(welded, without)


def test_mesh_between_the_grid_lines_leaves_an_empty_grid():
    grid = mesh_to_dual_grid(*box((0.01, 0.01, 0.01), (0.05, 0.05, 0.05)), 8)
    assert grid.coords.shape == (0, 3) and grid.local.shape == (0, 3) and grid.intersected.shape == (0, 3)
    vertices, faces = surface_of(grid, 8)
    assert vertices.shape == (0, 3) and faces.shape == (0, 3)


def test_quads_with_a_missing_voxel_are_dropped():
    grid = mesh_to_dual_grid(*uv_sphere(), 16)
    kept = torch.ones(len(grid.coords), dtype=torch.bool)
    kept[len(kept) // 2] = False
    _, whole = surface_of(grid, 16)
    _, rest = dual_grid_to_mesh(grid.coords[kept], grid.local[kept], grid.intersected[kept], None, 16)
    assert 0 < len(whole) - len(rest) <= 2 * 12
