# SPDX-License-Identifier: GPL-3.0-or-later
"""Prediction filters of voxel files: attributes as differences (modulo 256) that compress better. spec/ovoxel.md 4.1.

Values are uint8 [N, C], voxels in file order: chunk after chunk, ascending Morton code in each.
"""

from __future__ import annotations

import numpy as np

from .octree import Octree, from_morton, morton

FILTERS = ("none", "parent", "neighbor")

# Which neighbour predicts a voxel: the first of these that exists in the chunk.
_PREDICTORS = ((1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))

# The table of rows is cut into blocks of 4^3 cells.
_BLOCK_BITS = 2
_BLOCK_CELLS = 64


def apply_filter(name: str, tree: Octree, values: np.ndarray) -> np.ndarray:
    """Replace values by differences from what the filter ``name`` predicts."""
    if name == "parent":
        return _to_sibling_differences(tree, values)
    if name == "neighbor":
        predictor, _ = _neighbours(tree)
        has = np.flatnonzero(predictor >= 0)
        differences = values.copy()
        differences[has] -= values[predictor[has]]
        return differences
    return values


def undo_filter(name: str, tree: Octree, values: np.ndarray) -> np.ndarray:
    """Replace differences by the values they came from."""
    if name == "parent":
        return _from_sibling_differences(tree, values)
    if name == "neighbor":
        predictor, distance = _neighbours(tree)
        values = values.copy()
        # A predictor is always nearer to the chunk's corner, so the voxels of one distance can be done at once.
        order = np.argsort(distance, kind="stable")
        order = order[predictor[order] >= 0]
        cuts = np.flatnonzero(np.diff(distance[order])) + 1
        for rows in np.split(order, cuts):
            values[rows] += values[predictor[rows]]
        return values
    return values


def _to_sibling_differences(tree: Octree, values: np.ndarray) -> np.ndarray:
    """A node's value is that of its first voxel. Nodes in depth-first order keep the differences between each child and
    the one before it; the root's value comes first.
    """
    rows = np.empty_like(values)
    places = _difference_rows(tree)
    below = values
    for level, place in zip(reversed(tree.levels), reversed(places)):
        children = level.children
        for number in range(1, 8):
            has = np.flatnonzero(children > number)
            here = level.first[has] + number
            rows[place[has] + number - 1] = below[here] - below[here - 1]
        below = below[level.first]
    rows[_chunk_starts(tree)] = below
    return rows


def _from_sibling_differences(tree: Octree, rows: np.ndarray) -> np.ndarray:
    above = rows[_chunk_starts(tree)]
    for level, place in zip(tree.levels, _difference_rows(tree)):
        children = level.children
        below = np.empty((int(children.sum(dtype=np.int64)), rows.shape[1]), dtype=np.uint8)
        below[level.first] = above
        for number in range(1, 8):
            has = np.flatnonzero(children > number)
            here = level.first[has] + number
            below[here] = below[here - 1] + rows[place[has] + number - 1]
        above = below
    return above


def _chunk_starts(tree: Octree) -> np.ndarray:
    return np.cumsum(tree.counts) - tree.counts


def _difference_rows(tree: Octree) -> list[np.ndarray]:
    """For each level the row int64 [n] at which a node's differences begin."""
    kept = np.zeros(int(tree.lengths.sum()), dtype=np.int64)
    for level in tree.levels:
        kept[level.position] = level.children - 1
    # Each chunk begins with a row for its root.
    kept[tree.levels[0].position] += 1
    begin = np.cumsum(kept) - kept
    begin[tree.levels[0].position] += 1
    return [begin[level.position] for level in tree.levels]


def _neighbours(tree: Octree) -> tuple[np.ndarray, np.ndarray]:
    """The row int32 [N] that predicts each voxel (-1: none), and int16 [N]: each voxel's distance x + y + z from the
    smallest corner of its chunk.
    """
    chunk = np.repeat(np.arange(len(tree.counts)), tree.counts)
    coords = from_morton(tree.codes)
    bits = 3 * (len(tree.levels) - _BLOCK_BITS)
    keys = chunk << bits | tree.codes >> 3 * _BLOCK_BITS
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    block = np.cumsum(np.bincount(starts, minlength=len(keys))) - 1
    table = np.full((len(starts) + 1, _BLOCK_CELLS), -1, dtype=np.int32)
    table[block, tree.codes & (_BLOCK_CELLS - 1)] = np.arange(len(keys), dtype=np.int32)
    beside = _blocks_beside(keys[starts], chunk[starts], coords[starts] >> _BLOCK_BITS, bits)

    cells = coords & ((1 << _BLOCK_BITS) - 1)
    predictor = np.full(len(keys), -1, dtype=np.int32)
    left = np.arange(len(keys))
    for step in _PREDICTORS:
        cell = cells[left] - np.array(step, dtype=np.int32)
        under = cell < 0
        side = under[:, 0] * 4 + under[:, 1] * 2 + under[:, 2]
        found = table[beside[block[left], side], morton(cell & ((1 << _BLOCK_BITS) - 1))]
        predictor[left] = found
        left = left[found < 0]
    return predictor, coords.sum(axis=1, dtype=np.int16)


def _blocks_beside(keys: np.ndarray, chunk: np.ndarray, coords: np.ndarray, bits: int) -> np.ndarray:
    """For each block the eight blocks that are 0 or 1 lower along each axis (4x + 2y + z), int64 [B, 8]; B where there
    is none in its chunk.
    """
    beside = np.full((len(keys), 8), len(keys), dtype=np.int64)
    for side in range(8):
        lower = coords - np.array([side >> 2, side >> 1 & 1, side & 1], dtype=np.int32)
        inside = np.flatnonzero((lower >= 0).all(axis=1))
        wanted = chunk[inside] << bits | morton(lower[inside])
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = keys[at] == wanted
        beside[inside[hit], side] = at[hit]
    return beside
