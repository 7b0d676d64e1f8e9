# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse primitives and blocks (case 06)."""

from espalier.engine.models import sparse_blocks
from espalier.engine.ovoxel import sample_sparse
from espalier.engine.sparse import (
    SparseConv3d,
    channel_to_space,
    copy_to_children,
    pool_children,
    sample_nearest,
    sample_trilinear,
    space_to_channel,
)
from torch import nn

from .case import Case
from .networks import compare_sparse, sparse
from .runners import compares


def triple(value):
    return tuple(value) if isinstance(value, list) else value


def loaded(case: Case, name: str, module: nn.Module) -> nn.Module:
    prefix = f"{name}."
    own = {key.removeprefix(prefix): value for key, value in case.weights.items() if key.startswith(prefix)}
    module.load_state_dict(own, strict=True)
    return module


def compare_convolutions(case: Case, x) -> None:
    for name, spec in case.about["specs"].items():
        if isinstance(spec, dict):
            size, dilation = triple(spec["kernel_size"]), triple(spec["dilation"])
            layer = SparseConv3d(x.shape[1], spec["out_channels"], size, dilation, spec["bias"])
            case.close(f"{name}.out", loaded(case, name, layer)(x).feats)


def compare_resampling(case: Case, x) -> None:
    coarse = space_to_channel(x)
    compare_sparse(case, "s2c.out", coarse)
    compare_sparse(case, "c2s_cached.out", channel_to_space(coarse, coarse.sites.finer))
    fresh = coarse.fresh()
    children = fresh.sites.subdivide(case.input("c2s_explicit.sub"))
    compare_sparse(case, "c2s_explicit.out", channel_to_space(fresh, children))
    compare_sparse(case, "up_explicit.out", copy_to_children(fresh, children))
    for mode in ("mean", "max"):
        compare_sparse(case, f"down_{mode}.out", pool_children(x, mode))
    pooled = pool_children(x, "mean")
    compare_sparse(case, "up_cached.out", copy_to_children(pooled, pooled.sites.finer))


def compare_lookups(case: Case, x) -> None:
    """Both lookups of the engine: on a sparse tensor in voxel units, and on voxels of a grid in mesh units."""
    query, shape = case.input("grid_query"), case.about["spatial_shape"]
    case.close("grid_trilinear.out", sample_trilinear(x, query))
    case.close("grid_nearest.out", sample_nearest(x, query))
    for mode in ("trilinear", "nearest"):
        for batch, rows in enumerate(x.layout):
            values = sample_sparse(
                x.coords[rows, 1:], x.feats[rows], query[batch], shape, mode, aabb=((0, 0, 0), shape)
            )
            case.close(
                f"grid_{mode}.out, element {batch} by position", values, case.recorded(f"grid_{mode}.out")[batch]
            )


def compare_blocks(case: Case) -> None:
    x = sparse(case, "block_in.feats", "coords")
    for name, kind in case.about["specs"].items():
        if not isinstance(kind, str):
            continue
        block = getattr(sparse_blocks, kind)
        if f"{name}.out" in case:
            case.close(f"{name}.out", loaded(case, name, block(x.shape[1]))(x).feats)
            continue
        channels = x.shape[1], case.recorded(f"{name}.out.feats").shape[1]
        if f"{name}.sub" in case:
            out, logits = loaded(case, name, block(*channels))(x)
            case.close(f"{name}.sub", logits.feats)
        elif "C2S" in kind or "Upsample" in kind:
            out, logits = loaded(case, name, block(*channels, pred_subdiv=False))(x, case.input("guide_sub.feats"))
            case.agree(f"{name}: a guided block predicts nothing", logits, None)
        else:
            out = loaded(case, name, block(*channels))(x)
        compare_sparse(case, f"{name}.out", out)


@compares("sparse primitives and blocks", "SparseTensor(feats, coords)")
def sparse_units(case: Case) -> None:
    x = sparse(case, "feats", "coords")
    compare_convolutions(case, x)
    compare_resampling(case, x)
    compare_lookups(case, x)
    compare_blocks(case)
