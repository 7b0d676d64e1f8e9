# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts a subject out of a plain backdrop: white, coloured, or a smooth studio gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..errors import EspalierError

PLAIN_DISTANCE = 0.08
"""Largest distance in RGB (0..1) at which a border pixel still counts as the backdrop."""

PLAIN_SHARE = 0.65
"""Share of the border that has to be backdrop. A subject may leave the picture on one side."""

SURELY_PLAIN = 0.9
"""Below this share of the border the result says that the background is not wholly plain."""

STEEPEST_SHADOW = 0.02
"""Largest change of brightness (0..1) per pixel within a soft shadow; outlines of subjects are steeper."""


@dataclass(frozen=True)
class Matte:
    """A picture with its subject's coverage: mode RGBA, colours at soft edges freed of the backdrop."""

    image: Image.Image
    notes: tuple[str, ...]


def key_plain_background(image: Image.Image) -> Matte:
    """Return the subject of an opaque RGB picture that stands on a plain backdrop.

    The backdrop is a quadratic surface fitted to the border. It is flooded from the border and through soft shadow, so
    highlights inside the subject stay; an enclosed area becomes a hole only where a highlight cannot explain it. Raises
    EspalierError ("busy_background" when the border is not plain, "bad_input" when nothing stands out from it).
    """
    rgb = np.asarray(image.convert("RGB"), np.float32) / 255
    backdrop, spread, plain = _fit_backdrop(rgb)
    distance = np.sqrt(((rgb - backdrop) ** 2).sum(axis=2))
    tolerance = float(np.clip(4 * spread + 0.02, 0.03, PLAIN_DISTANCE))
    outside = _flood(distance < tolerance)
    outside, shadow = _add_soft_shadow(outside, rgb, backdrop)
    outside, holes = _open_holes(outside, distance, tolerance, backdrop)
    inside = _without_specks(~outside)
    if not inside.any():
        raise EspalierError(
            "bad_input",
            "No subject was found: the whole picture looks like background. "
            "Use an image whose subject stands out, or one with a transparent background.",
        )
    alpha = _soft_edge(inside, distance)
    freed = np.where(
        alpha[..., None] > 0, (rgb - (1 - alpha[..., None]) * backdrop) / np.maximum(alpha, 0.05)[..., None], 0
    )
    pixels = np.dstack([np.where((alpha < 1)[..., None], freed, rgb), alpha])
    notes = ["The background was removed by its plain colour."]
    if plain < SURELY_PLAIN:
        notes.append(f"Only {plain:.0%} of the border is plain background: parts of the background may have stayed.")
    if shadow:
        notes.append("The subject's soft shadow was removed.")
    if holes == 1:
        notes.append("An enclosed area of background colour became a hole.")
    elif holes:
        notes.append(f"{holes} enclosed areas of background colour became holes.")
    return Matte(Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8), "RGBA"), tuple(notes))


def _fit_backdrop(rgb: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return the backdrop [H, W, 3], the noise around it and the share of the border that it explains, from a robust
    quadratic fit to the border pixels."""
    height, width = rgb.shape[:2]
    border = np.zeros((height, width), bool)
    rim = max(1, round(0.015 * min(height, width)))
    border[:rim] = border[-rim:] = border[:, :rim] = border[:, -rim:] = True
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = 2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    samples, terms = rgb[border].astype(np.float64), basis[border].astype(np.float64)
    surface = np.zeros((6, 3))
    surface[0] = np.median(samples, axis=0)
    for _ in range(6):
        residual = np.sqrt(((samples - terms @ surface) ** 2).sum(axis=1))
        agree = residual < PLAIN_DISTANCE
        if agree.mean() < 0.2:
            break
        surface = np.linalg.lstsq(terms[agree], samples[agree], rcond=1e-6)[0]
    residual = np.sqrt(((samples - terms @ surface) ** 2).sum(axis=1))
    agree = residual < PLAIN_DISTANCE
    if agree.mean() < PLAIN_SHARE:
        raise EspalierError(
            "busy_background",
            "The background is not plain, so the subject cannot be told apart. Use an image with a transparent "
            "background or a plain backdrop, fetch BiRefNet, or choose to keep the whole image.",
            f"{agree.mean():.0%} of the border has one smooth colour; {PLAIN_SHARE:.0%} are needed.",
        )
    return np.clip(basis @ surface.astype(np.float32), 0, 1), float(np.median(residual[agree])), float(agree.mean())


def _flood(candidate: np.ndarray) -> np.ndarray:
    """The candidate pixels that are connected with the border."""
    labels, _ = ndimage.label(candidate)
    at_border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.isin(labels, at_border[at_border > 0])


def _add_soft_shadow(outside: np.ndarray, rgb: np.ndarray, backdrop: np.ndarray) -> tuple[np.ndarray, bool]:
    """Flood on through soft shadow: the backdrop's colour, darker, without an edge in between.

    A grey subject differs from shadow only by its outline. Where the flood found a way in, it ends without an edge or
    took much of what lies within the hull of the rest; then the shadow stays.
    """
    strength = (rgb * backdrop).sum(axis=2) / np.maximum((backdrop**2).sum(axis=2), 0.05)
    tint = np.sqrt(((rgb - strength[..., None] * backdrop) ** 2).sum(axis=2))
    down, across = (ndimage.gaussian_filter(rgb, (1.5, 1.5, 0), order) for order in ((1, 0, 0), (0, 1, 0)))
    slope = np.hypot(down, across).max(axis=2)
    shadow = (strength > 0.25) & (strength < 1.02) & (tint < 0.05) & (slope < STEEPEST_SHADOW)
    grown = _flood(outside | shadow)
    added, left = grown & ~outside, ~grown
    end = left & ndimage.binary_dilation(added)
    at_edge = end & (ndimage.maximum_filter(slope, size=7) >= STEEPEST_SHADOW)
    hull = _convex_hull(_without_specks(left))
    small = added.sum() < 0.002 * outside.size
    if small or at_edge.sum() < 0.7 * end.sum() or (added & hull).sum() > 0.25 * hull.sum():
        return outside, False
    return grown, True


def _convex_hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a mask, filled; the mask itself where it has no area."""
    points = np.argwhere(mask)[:, ::-1]
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return mask
    drawing = Image.new("1", mask.shape[::-1])
    ImageDraw.Draw(drawing).polygon([(int(x), int(y)) for x, y in corners], fill=1)
    return np.asarray(drawing)


def _open_holes(
    outside: np.ndarray, distance: np.ndarray, tolerance: float, backdrop: np.ndarray
) -> tuple[np.ndarray, int]:
    """Add enclosed areas of exactly the backdrop's colour that must be see-through; return the mask and their number.

    A highlight is nearly white, and a dark part may be nearly black: on such a backdrop an enclosed area has to be a
    large part of the subject to count as a hole; on any other backdrop a small one is already certain.
    """
    middle = float(np.median(backdrop))
    share = 0.04 if middle > 0.9 or middle < 0.08 else 0.004
    labels, count = ndimage.label((distance < tolerance) & ~outside)
    if count == 0:
        return outside, 0
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    means = ndimage.mean(distance, labels, np.arange(1, count + 1))
    smallest = max(16, share * float((~outside).sum()))
    holes = [k + 1 for k in range(count) if sizes[k] >= smallest and means[k] < 0.5 * tolerance]
    return outside | np.isin(labels, holes), len(holes)


def _without_specks(inside: np.ndarray) -> np.ndarray:
    """Drop dust: pieces far smaller than the largest one."""
    labels, count = ndimage.label(inside, structure=np.ones((3, 3)))
    if count < 1:
        return inside
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = sizes >= max(9, 0.005 * sizes.max())
    keep[0] = False
    return keep[labels]


def _soft_edge(inside: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Coverage 0..1: partial within two pixels of the outline, by how far a pixel's colour is from the backdrop
    compared with the subject beside it."""
    near = ndimage.distance_transform_edt(inside) <= 2
    subject = ndimage.maximum_filter(np.where(inside, distance, 0), size=5)
    coverage = np.clip(distance / np.maximum(subject, 1e-3), 0, 1)
    return np.where(inside, np.where(near, coverage, 1.0), 0.0).astype(np.float32)
