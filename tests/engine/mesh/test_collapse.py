"""The collapse in rounds: as good as the library, the same for any number of threads, on the CPU as on a GPU."""

import fast_simplification
import numpy as np
import pytest
import torch
from espalier.engine.mesh.simplify.collapse import collapse
from espalier.engine.mesh.simplify.collapse_rounds import Edges

from .leaning import NONE, bumpy_patch, dense, departure, flaws, gear, rim_edges
from .shapes import cube, sphere, torus


def wavy_torus():
    vertices, faces = torus(120, 60)
    return vertices * (1 + 0.03 * np.sin(40 * vertices[:, :1]) * np.cos(35 * vertices[:, 1:2])), faces


@pytest.mark.parametrize(
    "full", [wavy_torus(), sphere(rows=80, columns=100), dense(*gear(), 2)], ids=["torus", "sphere", "gear"]
)
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_its_error_is_not_above_the_library_s(full, share):
    target = int(share * len(full[1]))
    gap, angle = departure(full, collapse(*full, target))
    points, corners = fast_simplification.simplify(
        full[0], full[1].astype(np.int32), target_count=target, preserve_border=True, agg=3
    )
    library_gap, library_angle = departure(full, (points, corners.astype(np.int64)))
    assert gap <= 1.1 * library_gap + 1e-5
    assert angle <= 1.1 * library_angle + 0.1


@pytest.mark.parametrize("target", [4, 100, 1001, 7000])
def test_it_ends_at_the_target_with_nothing_torn_or_folded(target):
    vertices, faces = collapse(*wavy_torus(), target)
    assert len(faces) <= max(target, 30)
    assert len(faces) >= target - 1
    assert flaws(vertices, faces) == NONE
    assert rim_edges(faces) == 0


def test_a_cube_s_corners_and_edges_are_found_again():
    full = dense(*cube(0.6), 4)
    vertices, faces = collapse(*full, 12)
    assert len(faces) == 12
    assert np.allclose(np.abs(vertices), 0.3, atol=1e-4)


def test_rims_do_not_close_or_wander():
    vertices, faces = bumpy_patch(height=0.0)
    lean_vertices, lean_faces = collapse(vertices, faces, 2)
    assert len(lean_faces) == 2
    assert np.allclose(np.abs(lean_vertices[:, :2]), 0.4, atol=1e-3)


def test_edges_of_three_faces_in_the_input_are_left_alone_and_not_multiplied():
    vertices, faces = bumpy_patch(20, 20)
    fin = np.array([[190, 191, len(vertices)]])
    vertices = np.concatenate([vertices, [[0.0, 0.0, 0.3]]])
    _, lean_faces = collapse(vertices, np.concatenate([faces, fin]), 100)
    assert (np.bincount(Edges.of(torch.from_numpy(lean_faces), len(vertices)).count.numpy())[3:]).sum() == 1


def test_any_number_of_threads_gives_the_same_bytes():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = collapse(*wavy_torus(), 2000)
        torch.set_num_threads(3)
        three = collapse(*wavy_torus(), 2000)
    finally:
        torch.set_num_threads(threads)
    assert one[0].tobytes() == three[0].tobytes()
    assert one[1].tobytes() == three[1].tobytes()


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_size_of_the_object_does_not_matter(scale):
    full = wavy_torus()
    vertices, faces = collapse(full[0] * scale, full[1], 1000)
    assert len(faces) == 1000
    assert departure(full, (vertices / scale, faces))[0] < 1e-3


def test_cuda_gives_the_same_quality_and_the_same_bytes_every_time(card):
    full = wavy_torus()
    first, second = collapse(*full, 1500, "cuda"), collapse(*full, 1500, "cuda")
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1].tobytes() == second[1].tobytes()
    assert flaws(*first) == NONE
    assert departure(full, first)[0] == pytest.approx(departure(full, collapse(*full, 1500))[0], rel=0.1)
