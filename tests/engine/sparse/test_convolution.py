# SPDX-License-Identifier: GPL-3.0-or-later
"""The sparse convolution equals a dense one, forwards and backwards."""

import pytest
import torch
import torch.nn.functional as F
from espalier.engine.sparse import SparseConv3d, SparseTensor
from espalier.engine.sparse import convolution as convolution_module


def random_sites(count=120, size=7, batch=2, seed=0):
    """Random voxels, shuffled inside each batch element."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index in range(batch):
        chosen = torch.randperm(size**3, generator=generator)[:count]
        xyz = torch.stack([chosen // size**2, chosen // size % size, chosen % size], 1)
        rows.append(F.pad(xyz, (1, 0), value=index))
    return torch.cat(rows).int()


def dense_convolution(x, conv, size=7):
    batch, i, j, k = x.coords.long().unbind(1)
    volume = x.feats.new_zeros(int(batch.max()) + 1, size, size, size, x.feats.shape[1])
    volume = volume.index_put((batch, i, j, k), x.feats).permute(0, 4, 1, 2, 3)
    padding = [(kernel // 2) * step for kernel, step in zip(conv.kernel_size, conv.dilation, strict=True)]
    weight = conv.weight.permute(0, 4, 1, 2, 3)
    out = F.conv3d(volume, weight, conv.bias, padding=padding, dilation=conv.dilation)
    return out[batch, :, i, j, k]


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), ((3, 1, 3), 1), (3, (1, 2, 1)), (5, 1)])
@pytest.mark.parametrize("channels", [(3, 8), (8, 3)])
def test_equals_dense_convolution_forwards_and_backwards(kernel, dilation, channels):
    torch.manual_seed(0)
    coords = random_sites()
    conv = SparseConv3d(*channels, kernel, dilation).double()
    feats = torch.randn(len(coords), channels[0], dtype=torch.float64, requires_grad=True)
    x = SparseTensor(feats, coords)
    inputs = [feats, conv.weight, conv.bias]
    upstream = torch.randn(len(coords), channels[1], dtype=torch.float64)
    sparse, dense = conv(x).feats, dense_convolution(x, conv)
    torch.testing.assert_close(sparse, dense)
    actual = torch.autograd.grad(sparse, inputs, upstream)
    expected = torch.autograd.grad(dense, inputs, upstream)
    torch.testing.assert_close(actual, expected)


def test_gradcheck_of_a_small_convolution():
    torch.manual_seed(0)
    coords = random_sites(count=6, size=3)
    conv = SparseConv3d(2, 2, 3).double()
    feats = torch.randn(len(coords), 2, dtype=torch.float64, requires_grad=True)

    def apply(feats, weight, bias):
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, SparseTensor(feats, coords)).feats

    assert torch.autograd.gradcheck(apply, (feats, conv.weight, conv.bias))


def test_chunking_changes_nothing(monkeypatch):
    torch.manual_seed(0)
    coords = random_sites(count=2500, size=14)
    conv, feats = SparseConv3d(4, 4, 3), torch.randn(5000, 4, requires_grad=True)
    inputs = [feats, conv.weight, conv.bias]
    whole = conv(SparseTensor(feats, coords)).feats
    whole_gradients = torch.autograd.grad(whole.square().sum(), inputs)
    monkeypatch.setattr(convolution_module, "_CHUNK_ELEMENTS", {"cpu": 1})
    parts = conv(SparseTensor(feats, coords)).feats
    torch.testing.assert_close(parts, whole)
    parts_gradients = torch.autograd.grad(parts.square().sum(), inputs)
    torch.testing.assert_close(parts_gradients, whole_gradients, rtol=1e-4, atol=1e-4)


def test_autocast_computes_in_half_precision_with_float32_gradients():
    torch.manual_seed(0)
    coords = random_sites()
    conv = SparseConv3d(8, 8, 3)
    x = SparseTensor(torch.randn(len(coords), 8, requires_grad=True), coords)
    with torch.autocast("cpu", torch.bfloat16):
        out = conv(x).feats
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), conv(x).feats, rtol=0.02, atol=0.02)
    out.float().sum().backward()
    assert conv.weight.grad.dtype == x.feats.grad.dtype == torch.float32


def test_voxels_of_different_samples_are_not_neighbours():
    conv = SparseConv3d(1, 1, 3, bias=False)
    torch.nn.init.ones_(conv.weight)
    coords = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]], dtype=torch.int32)
    assert conv(SparseTensor(torch.ones(3, 1), coords)).feats.flatten().tolist() == [2, 2, 1]


def test_the_neighbour_map_is_built_once_per_coordinate_set():
    x = SparseTensor(torch.randn(240, 4), random_sites())
    first = x.sites.neighbours((3, 3, 3), (1, 1, 1))
    assert x.replace(x.feats * 2).sites.neighbours((3, 3, 3), (1, 1, 1)) is first


def test_even_kernels_are_refused():
    with pytest.raises(ValueError, match="odd"):
        SparseConv3d(1, 1, 2)


def test_weights_stored_in_half_precision_compute_in_that_of_their_input():
    torch.manual_seed(0)
    coords = random_sites()
    conv = SparseConv3d(8, 8, 3).half()
    x = SparseTensor(torch.randn(len(coords), 8), coords)
    with torch.no_grad():
        out = conv(x).feats
        expected = conv.float()(x).feats
    assert out.dtype == torch.float32
    assert torch.equal(out, expected)
