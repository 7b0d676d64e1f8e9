# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes to dual grids and back (case 10_dual_grid)."""

import torch
from espalier.engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid
from espalier.tests.engine.ovoxel.shapes import canonical_faces

from .case import Case
from .runners import compares


def grid_arguments(grid: dict) -> dict:
    return {"resolution": grid.get("grid_size"), "voxel_size": grid.get("voxel_size"), "aabb": grid["aabb"]}


def rows_that_builds_disagree_on(entry: dict) -> set[tuple[int, ...]]:
    """Voxels that the reference itself gains or loses when compiled differently."""
    builds = [entry[name] for name in entry if name.startswith("alt_build")]
    return {tuple(c) for b in builds for c in b.get("only_ref", []) + b.get("only_alt", []) + b.get("flag_rows", [])}


def compare_conversion(case: Case, entry: dict) -> None:
    """Voxels and flags exactly; dual vertices within 1e-3 voxel and five times the recorded noise of each."""
    key, mesh = entry["key"], entry["mesh"]
    vertices, faces = case.input(f"{mesh}.vertices"), case.input(f"{mesh}.faces")
    grid = mesh_to_dual_grid(vertices, faces, **grid_arguments(entry["grid"]), **entry["params"], clip=True)
    doubtful = rows_that_builds_disagree_on(entry)
    ours = {tuple(c): row for row, c in enumerate(grid.coords.tolist())}
    theirs = {tuple(c): row for row, c in enumerate(case.recorded(f"{key}.coords").tolist())}
    differing = (ours.keys() ^ theirs.keys()) - doubtful
    case.record(f"{key}.coords", float(len(differing)), 0.0, f"voxels in one set only: {sorted(differing)[:5]}")
    case.agree(f"{key}: rows are sorted", grid.coords.tolist(), sorted(grid.coords.tolist()))
    common = [c for c in theirs if c in ours and c not in doubtful]
    mine, reference = [ours[c] for c in common], [theirs[c] for c in common]
    case.equal(f"{key}.intersected", grid.intersected[mine], case.recorded(f"{key}.intersected")[reference])

    extent = torch.tensor(entry["grid"]["aabb"][1]) - torch.tensor(entry["grid"]["aabb"][0])
    size = entry["grid"].get("voxel_size") or extent / torch.tensor(entry["grid"]["grid_size"])
    allowed = (1e-3 + 5 * case.input(f"{key}.row_noise")[reference].double())[:, None]
    case.close(f"{key}.dual", grid.vertices[mine] / size, case.recorded(f"{key}.dual")[reference] / size, allowed)
    if f"{key}.dual_local" in case:
        case.close(f"{key}.dual_local", grid.local[mine], case.recorded(f"{key}.dual_local")[reference], allowed)


def compare_extraction(case: Case, entry: dict) -> None:
    """Triangles exactly, from the recorded dual grid, with and without split weights."""
    key = entry["key"]
    for kind in ("nosplit", "split"):
        if f"{key}.{kind}.faces_canonical" not in case:
            continue
        vertices, faces = dual_grid_to_mesh(
            case.recorded(f"{key}.coords"),
            case.recorded(f"{key}.dual_local"),
            case.recorded(f"{key}.intersected"),
            case.input(f"{key}.split_weight") if kind == "split" else None,
            **grid_arguments(entry["grid"]),
        )
        case.equal(f"{key}.{kind}.faces_canonical", canonical_faces(faces))
        if kind == "nosplit" and f"{key}.mesh_vertices" in case:
            case.close(f"{key}.mesh_vertices", vertices, atol=1e-7)


@compares("o_voxel.convert.mesh_to_flexible_dual_grid", "mesh_to_flexible_dual_grid(")
def dual_grid(case: Case) -> None:
    entries = [entry for entry in case.about["entries"] if f"{entry['key']}.coords" in case]
    case.agree("some entry has its tensors here", bool(entries), True)
    for entry in entries:
        compare_conversion(case, entry)
        compare_extraction(case, entry)
