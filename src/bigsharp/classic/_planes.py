"""The planes that a picture shows, by its vanishing points; compiled in part by Numba.

Imported by `bigsharp.classic.selfex` alone, when it runs. Points are (y, x) in pixels; lines and
points of the projective plane are (y, x, 1).
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numba import njit

from bigsharp.classic._matching import Surfaces
from bigsharp.image.arrays import Array

# Of a segment: the least gradient, in luma a pixel; how far a gradient may turn from the mean of
# its segment; pixels of length at least; pixels that it may be thick, or a share of its length.
_STEEP, _TURNS, _LONG, _THICK, _SLENDER = 0.02, math.radians(22.5), 8.0, 3.0, 5.0

# Vanishing points at most, hypotheses for each, and how far a segment may point beside one.
_POINTS, _TRIES, _BESIDE = 3, 1000, math.radians(2)

# Of a vanishing point: segments at least, and their share of all segments' length. Segments turned
# by chance gave shares of up to 0.19 on 47 pictures, and 0.26 where there were fewer than 50.
_SEGMENTS, _SHARE = 12, 0.2

# How far a segment's support reaches, as a share of the longer side.
_REACH = 1 / 6

# How likely the plane facing the viewer is beside the product of two densities; and what is added
# to each plane's probability, so that none is ruled out.
_FACING, _ANY = 1e-4, 0.1


class Segments(NamedTuple):
    """Straight edges.

    Attributes
    ----------
    ends : ndarray of float64, shape (n, 2, 2)
    """

    ends: Array

    @property
    def lengths(self) -> Array:
        """In pixels, (n,)."""
        return np.linalg.norm(self.ends[:, 1] - self.ends[:, 0], axis=1)

    @property
    def lines(self) -> Array:
        """As lines of the projective plane, of unit normal, (n, 3)."""
        ends = np.concatenate([self.ends, np.ones((len(self.ends), 2, 1))], axis=2)
        lines = np.cross(ends[:, 0], ends[:, 1])
        return lines / np.linalg.norm(lines[:, :2], axis=1, keepdims=True)


@njit(cache=True)
def _grow(gradient, angle, order, least):
    """Regions of like gradients: for each the moments of its pixels, weighted by the gradient."""
    height, width = gradient.shape
    used = gradient < least
    stack = np.empty((height * width, 2), np.int64)
    found = np.empty((len(order), 6))
    count = 0
    for at in order:
        row, column = at // width, at % width
        if used[row, column]:
            continue
        cosines, sines = math.cos(angle[row, column]), math.sin(angle[row, column])
        used[row, column] = True
        stack[0, 0], stack[0, 1] = row, column
        size, head = 1, 0
        moments = np.zeros(6)
        while head < size:
            r, c = stack[head]
            head += 1
            g = gradient[r, c]
            moments += g * np.array([1.0, r, c, r * r, r * c, c * c])
            mean = math.atan2(sines, cosines)
            for i in range(max(r - 1, 0), min(r + 2, height)):
                for j in range(max(c - 1, 0), min(c + 2, width)):
                    if used[i, j]:
                        continue
                    apart = angle[i, j] - mean
                    if abs(math.atan2(math.sin(apart), math.cos(apart))) < _TURNS:
                        used[i, j] = True
                        stack[size, 0], stack[size, 1] = i, j
                        size += 1
                        cosines += math.cos(angle[i, j])
                        sines += math.sin(angle[i, j])
        if size > _LONG:
            found[count] = moments
            count += 1
    return found[:count]


def find_segments(plane: Array) -> Segments:
    """Straight edges: regions whose gradients point one way, and that are long and thin.

    Parameters
    ----------
    plane : ndarray of float32, shape (h, w)
        Luma in [0, 1].

    References
    ----------
    R. Grompone von Gioi, J. Jakubowicz, J.-M. Morel, G. Randall, "LSD: a fast line segment detector
    with a false detection control", IEEE PAMI 32(4), 2010; the regions, without its control.
    """
    down, across = np.gradient(plane.astype(np.float64))
    gradient, angle = np.hypot(down, across), np.arctan2(down, across)
    moments = _grow(gradient, angle, np.argsort(-gradient, axis=None, kind="stable"), _STEEP)
    mass = moments[:, :1]
    centres = moments[:, 1:3] / mass
    rows, both, columns = (moments[:, 3:] / mass).T
    spread = np.empty((len(mass), 2, 2))
    spread[:, 0, 0] = rows - centres[:, 0] ** 2
    spread[:, 0, 1] = spread[:, 1, 0] = both - centres[:, 0] * centres[:, 1]
    spread[:, 1, 1] = columns - centres[:, 1] ** 2
    values, vectors = np.linalg.eigh(spread)
    # A uniform stretch has a variance of a twelfth of its length squared.
    thick, long = np.sqrt(12 * np.maximum(values, 0)).T
    kept = (long > _LONG) & (thick < np.maximum(_THICK, long / _SLENDER))
    half = (vectors[:, :, 1] * long[:, None] / 2)[kept]
    return Segments(np.stack([centres[kept] - half, centres[kept] + half], axis=1))


def vanishing_points(segments: Segments, size: tuple[int, int]) -> list[tuple[Array, Array]]:
    """Where segments meet, by RANSAC.

    One after the other is the meeting of the pair of segments that most others point to, by length.

    Parameters
    ----------
    segments : Segments
    size : (int, int)
        Height and width of the picture.

    Returns
    -------
    list of (ndarray of float64, shape (3,), and ndarray of bool, shape (n,))
        Points of the projective plane, and which segments point there; at most three.
    """
    lines, lengths, middles = segments.lines, segments.lengths, segments.ends.mean(axis=1)
    directions = (segments.ends[:, 1] - segments.ends[:, 0]) / lengths[:, None]
    random = np.random.default_rng(0)
    free, points = np.ones(len(lines), bool), []
    for _ in range(_POINTS):
        left = np.flatnonzero(free)
        if len(left) < _SEGMENTS:
            break
        likely = lengths[left] / lengths[left].sum()
        pairs = left[random.choice(len(left), (_TRIES, 2), p=likely)]
        tries = np.cross(lines[pairs[:, 0]], lines[pairs[:, 1]])
        tries = tries[np.linalg.norm(tries, axis=1) > 1e-9]
        scores = [lengths[left] @ _points_to(p, middles[left], directions[left]) for p in tries]
        if not scores:
            break
        point = tries[int(np.argmax(scores))]
        for _ in range(2):
            inside = free & _points_to(point, middles, directions)
            weighted = lines[inside] * lengths[inside, None] / [1, 1, max(size)]
            point = np.linalg.svd(weighted)[2][2] / [1, 1, max(size)]
        inside = free & _points_to(point, middles, directions)
        if inside.sum() < _SEGMENTS or lengths[inside].sum() < _SHARE * lengths.sum():
            break
        points.append((point, inside))
        free &= ~inside
    return points


def _points_to(point: Array, middles: Array, directions: Array) -> Array:
    """Whether segments point to a point of the projective plane, to within `_BESIDE`."""
    towards = point[:2] - middles * point[2]
    length = np.maximum(np.linalg.norm(towards, axis=1), 1e-12)
    across = towards[:, 0] * directions[:, 1] - towards[:, 1] * directions[:, 0]
    return np.abs(across) < math.sin(_BESIDE) * length


def find_surfaces(plane: Array, weight: float) -> Surfaces:
    """The planes of a picture: one for each two vanishing points, and last the one facing us.

    Parameters
    ----------
    plane : ndarray of float32, shape (h, w)
        Luma in [0, 1].
    weight : float
        Of the penalties: −log of a plane's probability at a pixel.

    References
    ----------
    J.-B. Huang, A. Singh, N. Ahuja, "Single image super-resolution from transformed
    self-exemplars", CVPR 2015.
    """
    size = (plane.shape[0], plane.shape[1])
    segments = find_segments(plane)
    points = vanishing_points(segments, size)
    densities = [_density(segments.ends[inside], size) for _, inside in points]
    lines, shares = [], []
    for i, j in combinations(range(len(points)), 2):
        line = np.cross(points[i][0], points[j][0])
        if np.linalg.norm(line) > 0:
            lines.append(line / np.linalg.norm(line))
            shares.append(densities[i] * densities[j])
    lines.append(np.array([0.0, 0.0, 1.0]))
    shares.append(np.full(size, _FACING))
    likely = np.stack(shares)
    likely = likely / likely.sum(axis=0) + _ANY
    likely = (likely / likely.sum(axis=0)).astype(np.float32)
    penalties = np.float32(-weight) * np.log(likely)
    return Surfaces(np.array(lines, np.float32), penalties, np.cumsum(likely, axis=0))


def _density(ends: Array, size: tuple[int, int]) -> Array:
    """How many pixels of segments lie around each pixel, in the mean under a Gaussian."""
    drawn = np.zeros(size)
    for start, end in ends:
        steps = np.linspace(0, 1, math.ceil(np.abs(end - start).max()) + 1)[:, None]
        rows, columns = np.rint(start + steps * (end - start)).astype(int).T
        drawn[rows.clip(0, size[0] - 1), columns.clip(0, size[1] - 1)] = 1
    for axis, length in enumerate(size):
        at = np.arange(length)
        fall = np.exp(-0.5 * ((at[:, None] - at) / (_REACH * max(size))) ** 2)
        fall /= fall.sum(axis=1, keepdims=True)
        drawn = fall @ drawn if axis == 0 else drawn @ fall.T
    return drawn
