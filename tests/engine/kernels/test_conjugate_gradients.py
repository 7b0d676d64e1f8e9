# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts laid flat by the kernel are those laid flat in plain torch, and charts that it leaves alone too."""

from unittest import mock

import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.unwrap import tensor_flatten
from espalier.tests.engine.mesh.shapes import grid_faces

SIZES = (3, 2, 6, 5)
STEPS = 60


def charts(sizes=SIZES):
    """Bent sheets of so many points a side: points, corners, the chart of each face and of each point."""
    points, corners, begin = [], [], 0
    for number, size in enumerate(sizes):
        u, v = torch.meshgrid(*2 * (torch.linspace(-0.4, 0.4, size, dtype=torch.float64),), indexing="ij")
        u, v = (part.reshape(-1) for part in (u, v))
        points.append(torch.stack([u, v, (0.5 + 0.3 * number) * (u * u - v * v * v) + 0.2 * u * v], 1))
        corners.append(torch.from_numpy(grid_faces(size, size, False, False)) + begin)
        begin += size * size
    label, of = (
        torch.arange(len(sizes)).repeat_interleave(torch.tensor([len(part) for part in parts]))
        for parts in (corners, points)
    )
    return torch.cat(points), torch.cat(corners), label, of


def system(device):
    """A system of the sheets, the forces on it, and what its answer is up to a residual of a millionth."""
    points, corners, _, of = (part.to(device) for part in charts())
    _, rest = tensor_flatten.rest_shapes(points, corners)
    system = tensor_flatten.laplacian(corners, tensor_flatten._corner_weights(rest), of)
    generator = torch.Generator().manual_seed(0)
    force = torch.randn((len(points), 2), generator=generator, dtype=torch.float64).to(device)
    with choice.plain_torch():
        return system, force, system.solve(force, force, 1e-6)


def agrees(kernels, device):
    matrix, force, expected = system(device)
    enough = 1e-16 * matrix.by_chart((matrix.scale * force).square())
    # Systems larger than a block.
    with mock.patch.object(kernels, "_BLOCK", 16):
        found = kernels.solve(*matrix.matrix, matrix.scale * force, enough, STEPS)
    assert (matrix.scale * found - expected).abs().max() < 1e-4 * expected.abs().max()
    residual = matrix.by_chart((matrix.scale * force - matrix.times(found)).square())
    assert (residual <= 4.0 * enough).all()
    # No steps, nothing solved; solved already, nothing done.
    assert not kernels.solve(*matrix.matrix, force, enough, 0).any()
    assert not kernels.solve(*matrix.matrix, force, torch.full_like(enough, torch.inf), STEPS).any()


def stops_in_time(kernels, device):
    """A system is solved no further than asked for, whatever others need."""
    matrix, force, _ = system(device)
    scaled = matrix.scale * force
    first = matrix.by_chart(scaled.square())
    goal = first * torch.tensor([1e-20, 1e-2, 1e-2, 1e-20], dtype=torch.float64, device=device)[:, None]
    left = matrix.by_chart((scaled - matrix.times(kernels.solve(*matrix.matrix, scaled, goal, STEPS))).square())
    assert (left <= goal * 4.0 + 1e-28).all()
    assert (left[2] > 1e-6 * first[2]).all()


def leaves_large_systems_to_torch(kernels, device):
    from espalier.engine.kernels import conjugate_gradients_triton

    for largest in (16_384, 20):
        with (
            mock.patch.object(kernels, "LARGEST", largest),
            mock.patch.object(conjugate_gradients_triton, "solve", wraps=kernels.solve) as used,
            mock.patch.object(choice, "serve_tensors", lambda force: True),
            mock.patch.object(tensor_flatten, "ITERATIONS", 1),
        ):
            found = tensor_flatten.flatten(*(part.to(device) for part in charts()))
            with mock.patch.object(choice, "serve_tensors", lambda force: False):
                expected = tensor_flatten.flatten(*(part.to(device) for part in charts()))
        assert used.called
        assert (found - expected).abs().max() < 1e-6


def serves_nothing(kernels, device):
    none, number = torch.zeros(0, dtype=torch.float64, device=device), torch.zeros(1, dtype=torch.int64, device=device)
    assert kernels.solve(number, number, number[:0], none, none.view(0, 2), none.view(0, 2), 5).shape == (0, 2)


def launches(kernels):
    matrix, force, _ = system("cpu")
    kernels.solve(*matrix.matrix, force, torch.zeros((len(SIZES), 2), dtype=torch.float64), STEPS)


CHANGES = {
    "only the last block of a system counted": ("total += way * pull", "total = way * pull"),
    "last entry of a row left out": ("range(tl.max(last - item))", "range(tl.max(last - item) - 1)"),
    "entries of other rows taken too": ("live = item < last", "live = item <= last"),
    "weights left out": ("pull += by * tl.load", "pull += tl.load"),
    "the diagonal left out": ("pull = way - pull", "pull = -pull"),
    "one side only": ("residual += side * unknowns", "residual += 0 * unknowns"),
    "directions not conjugate": ("tl.store(direction + here, way + ", "tl.store(direction + here, "),
    "no end of steps": ("(left > goal) & (step < most)", "left > goal"),
}  # fmt: skip


@pytest.mark.parametrize("function", [agrees, stops_in_time])
def test_solves_what_torch_solves(place, function):
    place.check("conjugate_gradients_triton", function)


def test_large_systems_are_left_to_torch(place):
    place.check("conjugate_gradients_triton", leaves_large_systems_to_torch)


def test_serves_nothing_to_solve(place):
    place.check("conjugate_gradients_triton", serves_nothing)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("conjugate_gradients_triton", agrees, change)


def test_systems_solved_for_all_alike_are_noticed(interpreter):
    change = ("goal = tl.load(enough + side * systems + system)", "goal = tl.load(enough)")
    interpreter.check_notices("conjugate_gradients_triton", stops_in_time, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("conjugate_gradients_triton", launches)
