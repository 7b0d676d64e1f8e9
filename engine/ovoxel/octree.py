# SPDX-License-Identifier: GPL-3.0-or-later
"""The occupied voxels of a chunk as an octree of child masks, many chunks at once.

A chunk of side 2^depth becomes a tree of that depth: one byte an inner node, bit i set where child i is occupied, in
depth-first order; the bits of the deepest bytes are the voxels. Child numbers are Morton digits, x the most significant
bit (4x + 2y + z). spec/ovoxel.md 4.1. All trees here are stored level by level, so that every step is one array
operation over all chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Side of the largest chunk: Morton codes have ten bits an axis.
MAX_DEPTH = 10

_POPCOUNT = np.array([bin(mask).count("1") for mask in range(256)], dtype=np.uint8)
# The numbers of the set bits of each mask, ascending, filled up with zeros.
_DIGITS = np.array([([d for d in range(8) if mask >> d & 1] + [0] * 8)[:8] for mask in range(256)], dtype=np.uint8)


def morton(coords: np.ndarray) -> np.ndarray:
    """Morton codes int64 [N] of coordinates int [N, 3] in 0..1023, x the most significant of each three bits."""
    code = np.zeros(len(coords), dtype=np.int64)
    for axis in range(3):
        bits = coords[:, axis].astype(np.int64)
        bits = (bits | bits << 16) & 0x030000FF
        bits = (bits | bits << 8) & 0x0300F00F
        bits = (bits | bits << 4) & 0x030C30C3
        bits = (bits | bits << 2) & 0x09249249
        code |= bits << (2 - axis)
    return code


def from_morton(code: np.ndarray) -> np.ndarray:
    """Coordinates int32 [N, 3] of Morton codes int64 [N] below 2^30."""
    coords = np.empty((len(code), 3), dtype=np.int32)
    for axis in range(3):
        bits = code >> (2 - axis) & 0x09249249
        bits = (bits | bits >> 2) & 0x030C30C3
        bits = (bits | bits >> 4) & 0x0300F00F
        bits = (bits | bits >> 8) & 0x030000FF
        coords[:, axis] = (bits | bits >> 16) & 0x3FF
    return coords


@dataclass(frozen=True)
class Level:
    """The nodes of one depth in all chunks, in depth-first order.

    ``masks`` uint8 [n], ``position`` int64 [n] of each byte in the joined streams, ``first`` int64 [n]: where the
    children of each node begin among the nodes of the next level (or among the voxels).
    """

    masks: np.ndarray
    position: np.ndarray
    first: np.ndarray

    @property
    def children(self) -> np.ndarray:
        """How many children each node has, uint8 [n]."""
        return _POPCOUNT[self.masks]


@dataclass(frozen=True)
class Octree:
    """The trees of all chunks of a file. ``levels`` from the roots down, one root a chunk.

    ``codes`` int64 [N]: Morton code of each voxel within its chunk, ascending in each chunk; ``counts`` int64 [K]:
    voxels in each chunk; ``lengths`` int64 [K]: bytes of each chunk's stream.
    """

    levels: list[Level]
    codes: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    @staticmethod
    def of_voxels(chunk: np.ndarray, codes: np.ndarray, depth: int) -> Octree:
        """Build from the chunk numbers int [N] (0, 1, ..., each present) and Morton codes [N] of voxels in order."""
        keys = chunk.astype(np.int64) << 3 * depth | codes
        masks, firsts = [], []
        for _ in range(depth):
            parents = keys >> 3
            first = np.flatnonzero(np.diff(parents, prepend=-1))
            bits = np.left_shift(1, keys & 7).astype(np.uint8)
            masks.append(np.bitwise_or.reduceat(bits, first) if len(first) else bits)
            firsts.append(first)
            keys = parents[first]
        sizes = [np.ones(len(masks[0]), dtype=np.int64)]
        for first in firsts[1:]:
            sizes.append(1 + np.add.reduceat(sizes[-1], first) if len(first) else sizes[-1])
        lengths = sizes[-1]
        positions = [_exclusive(lengths)]
        for size, first in zip(sizes[-2::-1], firsts[:0:-1]):
            before = _exclusive(size)
            children = np.diff(first, append=len(size))
            positions.append(before + np.repeat(positions[-1] + 1 - before[first], children))
        levels = [Level(m, p, f) for m, p, f in zip(masks[::-1], positions, firsts[::-1])]
        counts = np.bincount(chunk, minlength=len(lengths)).astype(np.int64)
        return Octree(levels, codes, counts, lengths)

    @staticmethod
    def of_stream(stream: np.ndarray, lengths: np.ndarray, depth: int) -> Octree | None:
        """Build from the joined streams uint8 [sum of lengths] of chunks of side 2^depth; None when one is no tree."""
        if not len(lengths):
            empty = np.zeros(0, dtype=np.int64)
            levels = [Level(stream[:0], empty, empty) for _ in range(depth)]
            return Octree(levels, empty, empty, empty)
        roots = _exclusive(lengths)
        ends = _subtree_ends(stream, depth)
        if (lengths <= 0).any() or (ends[depth][roots] != roots + lengths).any():
            return None
        levels = []
        position, codes, chunk = roots, np.zeros(len(lengths), dtype=np.int64), np.arange(len(lengths))
        for height in range(depth, 0, -1):
            masks = stream[position]
            children = _POPCOUNT[masks]
            if not children.all():
                return None
            first = _exclusive(children)
            levels.append(Level(masks, position, first))
            total = int(first[-1]) + int(children[-1])
            owner = np.repeat(np.arange(len(masks)), children)
            place = np.arange(total) - first[owner]
            codes = codes[owner] << 3 | _DIGITS[masks[owner], place]
            chunk = chunk[owner]
            if height > 1:
                following = np.empty(total, dtype=np.int64)
                following[first] = position + 1
                for number in range(1, 8):
                    here = first[children > number] + number
                    following[here] = ends[height - 1][following[here - 1]]
                position = following
        return Octree(levels, codes, np.bincount(chunk, minlength=len(lengths)).astype(np.int64), lengths)

    def stream(self) -> np.ndarray:
        """The joined streams, uint8 [sum of lengths]."""
        stream = np.empty(int(self.lengths.sum()), dtype=np.uint8)
        for level in self.levels:
            stream[level.position] = level.masks
        return stream


def child_count(stream: np.ndarray) -> int:
    """How many children all nodes of joined streams uint8 [n] have together."""
    return int(np.dot(np.bincount(stream, minlength=256), _POPCOUNT.astype(np.int64)))


def _exclusive(counts: np.ndarray) -> np.ndarray:
    """Sums int64 of all entries before each."""
    total = np.cumsum(counts, dtype=np.int64)
    return total - counts


def _subtree_ends(stream: np.ndarray, depth: int) -> list[np.ndarray]:
    """For each height 1..depth: where a subtree of that height ends if it began at each position, int32 [n + 2].

    A tree read forward needs one step a byte; read as a table of all possible subtrees it needs one array operation a
    child and height. Entry 0 is unused; a subtree that runs over the end ends at n + 1.
    """
    count = len(stream)
    children = _POPCOUNT[stream]
    having = [np.flatnonzero(children > number).astype(np.int32) for number in range(8)]
    after = np.minimum(np.arange(1, count + 3, dtype=np.int32), np.int32(count + 1))
    ends = [after, after]
    for _ in range(1, depth):
        end = after.copy()
        for rows in having:
            end[rows] = ends[-1][end[rows]]
        ends.append(end)
    return ends
