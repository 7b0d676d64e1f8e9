# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that look at an asset, and the square frame the pipeline's image preparation would cut."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A perspective camera that looks at the origin, and the part of its picture that is kept.

    ``yaw`` 0 looks along +Y (at the front), positive yaw moves the camera counter-clockwise seen from above;
    ``elevation`` is positive above the ground; both and the vertical field of view ``fov`` in radians. ``distance`` of
    the eye from the origin. The frame is the square around (``centre_x``, ``centre_y``) with half side ``half``, in
    tangents: image-plane coordinates at distance 1.
    """

    yaw: float
    elevation: float
    fov: float
    distance: float
    centre_x: float = 0.0
    centre_y: float = 0.0
    half: float = 1.0

    def array(self) -> np.ndarray:
        """Return the fields in order as float32 [7]."""
        return np.array(astuple(self), dtype=np.float32)


def rotation(camera: Camera) -> np.ndarray:
    """Return the rows right, up and backward (towards the eye) of the camera in the world, [3, 3]."""
    c, s = np.cos(camera.yaw), np.sin(camera.yaw)
    ce, se = np.cos(camera.elevation), np.sin(camera.elevation)
    return np.array([[c, s, 0.0], [-s * se, c * se, ce], [s * ce, -c * ce, se]])


def to_camera(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Transform world points [N, 3] to camera space: x right, y up, z towards the viewer, the eye at the origin."""
    return points @ rotation(camera).T - np.array([0.0, 0.0, camera.distance])


def framed(camera: Camera, vertices: np.ndarray) -> Camera:
    """Return the camera with the frame that fits the square bounding box of the projected vertices [V, 3]."""
    p = to_camera(vertices.astype(np.float64), camera)
    plane = p[:, :2] / -p[:, 2:]
    low, high = plane.min(0), plane.max(0)
    x, y = (low + high) / 2
    half = float((high - low).max() / 2)
    return Camera(camera.yaw, camera.elevation, camera.fov, camera.distance, float(x), float(y), half)


def draw_camera(rng: np.random.Generator, vertices: np.ndarray) -> Camera:
    """Draw a view as people picture an object: within 60 degrees of its front, from a little to well above the ground.

    Elevation 3 to 42 degrees, field of view 25 to 45 degrees, framed on the object.
    """
    fov = float(np.radians(rng.uniform(25, 45)))
    yaw = float(np.radians(rng.uniform(-60, 60)))
    elevation = float(np.arcsin(rng.uniform(0.05, 0.67)))
    return framed(Camera(yaw, elevation, fov, 0.65 / np.tan(fov / 2)), vertices)
