# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense and sparse autoencoders (cases 03, 04 and 05)."""

from espalier.engine.models.shape_vae import shape_features
from espalier.engine.models.sparse_vae import SparseEncoder
from espalier.engine.ovoxel import dual_grid_to_mesh
from espalier.engine.pipelines.structure import occupied_cells
from espalier.engine.sparse import Sites, SparseTensor
from espalier.tests.engine.ovoxel.shapes import canonical_faces

from .case import Case
from .networks import build, cast, compare_sparse, sparse
from .runners import compares


@compares("SparseStructureDecoder", "model(z)")
def structure_decoder(case: Case) -> None:
    model = build(case)
    logits = model(case.input("z"))
    case.close("out", logits)
    for name in case.names:
        if name.startswith("coords_at_"):
            case.equal(name, occupied_cells(logits, int(name.rpartition("_")[2])))
    cast(case, model)


@compares("SparseStructureEncoder", "model(x, return_raw=True)")
def structure_encoder(case: Case) -> None:
    model = build(case)
    for name, actual in zip(("z", "mean", "logvar"), model(case.input("x"), return_raw=True), strict=True):
        case.close(name, actual)
    cast(case, model)


def compare_latent(case: Case, model: SparseEncoder, x: SparseTensor) -> None:
    """Encode, and check that the latent remembers the voxels it came from, level by level."""
    z, mean, logvar = model(x, return_raw=True)
    compare_sparse(case, "z", z)
    case.close("mean", mean, case.recorded("z.feats"))
    case.close("logvar", logvar)
    sites = z.sites
    while sites.finer is not None:
        sites = sites.finer.fine
    case.equal("remembered coords", sites.coords, x.coords)


@compares("FlexiDualGridVaeEncoder", "return_raw=True")
def shape_encoder(case: Case) -> None:
    feats = shape_features(case.input("vertices.feats"), case.input("intersected"))
    compare_latent(case, build(case), SparseTensor(feats, case.input("coords")))


@compares("SparseUnetVaeEncoder", "return_raw=True")
def texture_encoder(case: Case) -> None:
    compare_latent(case, build(case), sparse(case, "x.feats", "coords"))


def remembering_latent(case: Case, levels: int) -> SparseTensor:
    """The ``cached`` latent with the memory that its encoder leaves: voxels of ``cached.h.coords``, halved in turn."""
    sites = Sites(case.recorded("cached.h.coords"))
    for _ in range(levels):
        sites = sites.coarsen()
    case.equal("cached.z.coords", sites.coords)
    return SparseTensor(case.input("cached.z.feats"), sites)


def compare_meshes(case: Case, prefix: str, model, h: SparseTensor, subs: list[SparseTensor]) -> None:
    """One mesh a batch element. Its vertices follow the sigmoid of h, whose slope with the margins is at most 1/2."""
    resolution = case.about["resolution"]
    shape = model.interpret(h, subs)
    for batch, rows in enumerate(h.layout):
        name = f"{prefix}mesh{batch}"
        vertices, faces = dual_grid_to_mesh(
            shape.coords[rows, 1:],
            shape.vertices[rows],
            shape.intersected[rows],
            shape.split_weight[rows],
            resolution,
        )
        case.close(f"{name}.vertices", vertices, atol=case.about["tolerance"]["atol"] / resolution + 1e-7)
        faces = canonical_faces(faces)
        case.equal(f"{name}.faces", faces, canonical_faces(case.recorded(f"{name}.faces").long()))
        if f"{name}.faces_canonical" in case:
            case.equal(f"{name}.faces_canonical", faces)


@compares("FlexiDualGridVaeDecoder", "model(SparseTensor(z.feats, z.coords)")
def shape_decoder(case: Case) -> None:
    model = build(case)
    z = sparse(case, "z.feats", "z.coords")
    h, subs = model.raw(z)
    compare_sparse(case, "h", h)
    for level, sub in enumerate(subs):
        compare_sparse(case, f"subs.{level}", sub)
    compare_meshes(case, "", model, h, subs)
    for times in range(1, model.levels + 1):
        case.equal(f"upsample{times}.coords", model.upsample(z, times))
    if "cached.h.feats" in case:
        cached, cached_subs = model.raw(remembering_latent(case, model.levels))
        compare_sparse(case, "cached.h", cached)
        compare_meshes(case, "cached.", model, cached, cached_subs)
    cast(case, model)
    case.loosely("lowp.fp16.subs.0.feats", model.raw(z)[1][0].feats)


@compares("SparseUnetVaeDecoder", "model(SparseTensor(z.feats, z.coords)")
def texture_decoder(case: Case) -> None:
    model = build(case)
    names = case.numbered("guide_subs.{}.feats")
    guides = [sparse(case, name, name.replace("feats", "coords")) for name in names]
    h = model(sparse(case, "z.feats", "z.coords"), guides)
    compare_sparse(case, "h", h)
    case.close("pbr.feats", h.feats * 0.5 + 0.5)
    if "cached.h.feats" in case:
        compare_sparse(case, "cached.h", model(remembering_latent(case, model.levels)))
