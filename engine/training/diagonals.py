# SPDX-License-Identifier: GPL-3.0-or-later
"""A direct loss for the split weight, which only a rendering loss would train otherwise.

A dual quad is cut along its 0-2 diagonal when g0 g2 > g1 g3 (``engine/ovoxel``). The better cut of the true quad is the
one whose two triangles lie flatter, so ``log g0 g2 - log g1 g3`` is trained as the logit of that choice.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..sparse.sites import Sites

QUADS = (
    ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)),
    ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)),
    ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0)),
)
"""Corner voxels of the quad around the crossed x-, y- and z-edge of a voxel."""


def quad_rows(sites: Sites, flags: Tensor) -> Tensor:
    """Return the four voxel rows [Q, 4] of every complete quad of the flags bool [N, 3]."""
    neighbours = sites.neighbours((3, 3, 3), (1, 1, 1))
    quads = []
    for axis, corners in enumerate(QUADS):
        taps = [9 * (x + 1) + 3 * (y + 1) + z + 1 for x, y, z in corners]
        rows = neighbours[:, taps]
        quads.append(rows[flags[:, axis] & (rows < len(sites)).all(1)])
    return torch.cat(quads).long()


def diagonal_loss(raw: Tensor, vertices: Tensor, flags: Tensor, sites: Sites) -> Tensor:
    """Return the cross-entropy of the diagonal that ``raw`` [N] (before softplus) would choose.

    ``vertices`` [N, 3] are true local dual vertices in voxel units. Quads weigh by how much the choice matters.
    """
    rows = quad_rows(sites, flags)
    q0, q1, q2, q3 = (sites.coords[:, 1:] + vertices)[rows].unbind(1)
    first = _flatness(q0, q1, q2, q0, q2, q3)
    second = _flatness(q0, q1, q3, q3, q1, q2)
    weight = F.softplus(raw.float()).clamp(min=1e-6).log()[rows]
    logit = weight[:, 0] + weight[:, 2] - weight[:, 1] - weight[:, 3]
    return F.binary_cross_entropy_with_logits(logit, (first > second).float(), weight=(first - second).abs())


def _flatness(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor, f: Tensor) -> Tensor:
    """Return the cosine between the normals of the triangles abc and def."""
    return F.cosine_similarity(torch.linalg.cross(b - a, c - b), torch.linalg.cross(e - d, f - e), dim=1)
