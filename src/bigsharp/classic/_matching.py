"""Which patch of a picture looks like which: nearest-neighbour fields, compiled by Numba.

Imported by `bigsharp.classic.selfex` alone, when it runs: Numba is an extra. Positions are (y, x)
in pixels of the small picture, the same on every level of a pyramid; the first pixel's centre is at
(½, ½).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from bigsharp.image.arrays import Array

#: Half of a patch: 5 × 5.
RADIUS = 2

#: Cost of a patch that has no example.
NONE = np.float32(1e9)

#: Rows that one thread works through. Neighbours in another strip are as they were an iteration
#: before, so that the result is the same with any number of threads.
STRIP = 32

# In a random search: how far a candidate is turned and sheared at most, at first.
_TURN, _SHEAR = np.float32(math.pi / 8), np.float32(0.025)

# Added to a patch's cost before the weight of its vote is taken: half of (8 grey levels)².
_DOUBT = np.float32(1e-3)

_HALF = np.float32(0.5)


class Pyramid(NamedTuple):
    """A picture at many sizes, coarse to fine, end to end.

    Attributes
    ----------
    highs, lows : ndarray of float32, shape (n,)
        The pictures; and the same as if enlarged from the next coarser size.
    starts : ndarray of int64, shape (levels + 1,)
    shapes : ndarray of int64, shape (levels, 2)
    ratios : ndarray of float32, shape (levels, 2)
        Of their sides to the small picture's.
    step : float32
        Logarithm of the ratio of one level to the next.
    """

    highs: Array
    lows: Array
    starts: Array
    shapes: Array
    ratios: Array
    step: np.float32


class Field(NamedTuple):
    """The example of every patch of a target.

    Attributes
    ----------
    places : ndarray of float32, shape (H, W, 6)
        y and x of its centre, and the 2 × 2 matrix, row by row, that takes the patch's offsets to
        the example's, on the plane facing the viewer.
    planes : ndarray of uint8, shape (H, W)
        Which plane both lie in.
    costs : ndarray of float32, shape (H, W)
    """

    places: Array
    planes: Array
    costs: Array


class Surfaces(NamedTuple):
    """The planes that a picture shows.

    Attributes
    ----------
    lines : ndarray of float32, shape (P, 3)
        Vanishing lines ``l y + m x + n = 0``; the last, (0, 0, 1), is the plane facing the viewer.
    penalties : ndarray of float32, shape (P, h, w)
        −log of the probability that a pixel of the small picture lies in a plane, weighted.
    sums : ndarray of float32, shape (P, h, w)
        The probabilities summed over the planes.
    """

    lines: Array
    penalties: Array
    sums: Array


class Rules(NamedTuple):
    """How to search.

    Attributes
    ----------
    weights : ndarray of float32, shape (25,)
        Of a patch's pixels; their sum is 1.
    affine : bool
        Turn and shear, or scale by whole levels alone.
    least, most : float32
        How many times as large as the patch an example is.
    """

    weights: Array
    affine: bool
    least: np.float32
    most: np.float32


@njit(cache=True)
def _random(state):
    """A number in [0, 1), by Marsaglia's xorshift."""
    s = state[0]
    s ^= s << np.uint64(13)
    s ^= s >> np.uint64(7)
    s ^= s << np.uint64(17)
    state[0] = s
    return np.float32(s >> np.uint64(40)) * np.float32(2.0**-24)


@njit(cache=True)
def _single(y, x, a, b, c, d):
    """All as float32, which one with a whole number in it would not be."""
    f = np.float32
    return f(y), f(x), f(a), f(b), f(c), f(d)


@njit(cache=True)
def _sample(values, start, width, y, x):
    """Bilinear; the same in matching and voting, so that a blurred example looks like none."""
    row, column = int(y), int(x)
    down, right = y - row, x - column
    k = start + row * width + column
    above = values[k] + right * (values[k + 1] - values[k])
    k += width
    below = values[k] + right * (values[k + 1] - values[k])
    return above + down * (below - above)


@njit(cache=True)
def _centre(row, column, ratio):
    """Where a level's pixel lies."""
    return (np.float32(row) + _HALF) / ratio[0], (np.float32(column) + _HALF) / ratio[1]


@njit(cache=True)
def _seen(surfaces, plane, ty, tx, place):
    """The matrix from a patch's offsets to its example's, both lying in a plane.

    It is the derivative of the homography that moves the plane's points from t to s: rectify by
    the vanishing line l, translate, and go back. With w(p) = l·(p, 1) that derivative is
    w(s)/w(t) (1 + (s − t) lᵀ / w(t)). Within 5 × 5 pixels the rest of it does not show.
    """
    sy, sx, a, b, c, d = place
    ly, lx, lz = surfaces.lines[plane]
    if ly == 0 and lx == 0:
        return a, b, c, d
    there = lz + ly * sy + lx * sx
    here = lz + ly * ty + lx * tx
    none = np.float32(0)
    # Beyond the horizon, or on it, the plane is not seen.
    if there * here <= 0:
        return none, none, none, none
    one, k = np.float32(1), there / here
    dy, dx = (sy - ty) / here, (sx - tx) / here
    e, f, g, h = k * (one + dy * ly), k * dy * lx, k * dx * ly, k * (one + dx * lx)
    return e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d


@njit(cache=True)
def _located(pyramid, level, place, matrix):
    """The level that an example is looked at on, its centre and its matrix in that one's pixels."""
    a, b, c, d = matrix
    coarser = math.log(max(abs(a * d - b * c), np.float32(1e-12))) / (2 * pyramid.step)
    j = level - max(1, min(math.floor(coarser + _HALF), level))
    there, here = pyramid.ratios[j], pyramid.ratios[level]
    y, x = place[0] * there[0] - _HALF, place[1] * there[1] - _HALF
    down, across = there[0] / here[0], there[1] / here[1]
    # Offsets are in the target's pixels, of which a row and a column may differ in length.
    skew = here[0] / here[1]
    return j, y, x, down * a, down * b * skew, across * c / skew, across * d


@njit(cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _cost(target, row, column, pyramid, level, rules, place, matrix, best):
    """Squared difference of a patch and an example, their means apart.

    `NONE` beyond the border, and for an example whose first rows cost as much as `best`.
    """
    a, b, c, d = matrix
    area = abs(a * d - b * c)
    if not (rules.least**2 <= area <= rules.most**2):
        return NONE
    j, y, x, a, b, c, d = _located(pyramid, level, place, matrix)
    height, width = pyramid.shapes[j]
    high, wide = RADIUS * (abs(a) + abs(b)), RADIUS * (abs(c) + abs(d))
    if not (y >= high and x >= wide and y + high < height - 1 and x + wide < width - 1):
        return NONE
    start, k = pyramid.starts[j], 0
    total, mean, squares = np.float32(0), np.float32(0), np.float32(0)
    for u in range(-RADIUS, RADIUS + 1):
        for v in range(-RADIUS, RADIUS + 1):
            p, q = np.float32(u), np.float32(v)
            seen = _sample(pyramid.lows, start, width, y + a * p + b * q, x + c * p + d * q)
            apart = target[row + u, column + v] - seen
            total += rules.weights[k]
            mean += rules.weights[k] * apart
            squares += rules.weights[k] * apart * apart
            k += 1
        # About its own mean, a sum of squares only grows.
        if squares - mean * mean / total >= best:
            return NONE
    return max(squares - mean * mean, np.float32(0))


@njit(cache=True)
def _offer(field, row, column, target, pyramid, level, surfaces, rules, place, plane):
    """Keep a candidate where it costs less than what is there."""
    ty, tx = _centre(row, column, pyramid.ratios[level])
    best = field.costs[row, column]
    matrix = _seen(surfaces, plane, ty, tx, place)
    cost = _cost(target, row, column, pyramid, level, rules, place, matrix, best)
    if cost >= best:
        return
    if len(surfaces.lines) > 1:
        cost += surfaces.penalties[plane, int(ty), int(tx)]
        cost += surfaces.penalties[plane, int(place[0]), int(place[1])]
    if cost < best:
        field.costs[row, column] = cost
        field.planes[row, column] = plane
        for k in range(6):
            field.places[row, column, k] = place[k]


@njit(cache=True)
def _place(places, row, column):
    p = places[row, column]
    return _single(p[0], p[1], p[2], p[3], p[4], p[5])


@njit(cache=True)
def _moved(field, row, column, down, right, pyramid, level, surfaces):
    """The example of a neighbour, moved as the patch is to it."""
    place, plane = _place(field.places, row, column), field.planes[row, column]
    ratio = pyramid.ratios[level]
    ty, tx = _centre(row, column, ratio)
    matrix = _seen(surfaces, plane, ty, tx, place)
    dy, dx = down / ratio[0], right / ratio[1]
    y = place[0] + matrix[0] * dy + matrix[1] * dx
    x = place[1] + matrix[2] * dy + matrix[3] * dx
    return _single(y, x, place[2], place[3], place[4], place[5])


@njit(cache=True)
def _varied(state, place, down, right, turn, rules, step):
    """A candidate by chance: up to `down` and `right` away, scaled, and where affine turned."""
    y, x, a, b, c, d = place
    y += down * (2 * _random(state) - 1)
    x += right * (2 * _random(state) - 1)
    if not rules.affine:
        z = np.float32(math.exp(step * (int(3 * _random(state)) - 1)))
        return _single(y, x, a * z, b, c, d * z)
    z = 1 + (_random(state) - _HALF) / turn
    angle = _TURN * (2 * _random(state) - 1) / turn
    e, f = _SHEAR * (2 * _random(state) - 1) / turn, _SHEAR * (2 * _random(state) - 1) / turn
    cos, sin = np.float32(math.cos(angle)) * z, np.float32(math.sin(angle)) * z
    p, q, r, s = cos - sin * e, sin + cos * e, cos * f - sin, sin * f + cos
    return _single(y, x, a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s)


@njit(cache=True)
def _drawn(state, surfaces, y, x):
    """A plane by chance, by what is likely at a pixel of the small picture."""
    plane, last = 0, len(surfaces.lines) - 1
    if last > 0:
        pick = _random(state)
        while plane < last and pick > surfaces.sums[plane, y, x]:
            plane += 1
    return plane


@njit(cache=True)
def _search(field, row, column, target, pyramid, level, surfaces, rules, state):
    """Random candidates around what is there, ever nearer."""
    ratio = pyramid.ratios[level]
    y, x = _centre(row, column, ratio)
    radius = np.float32(max(target.shape) / 4)
    turn = 1
    while radius > 1:
        turn += 1
        radius *= _HALF
        place = _place(field.places, row, column)
        down, right = radius / ratio[0], radius / ratio[1]
        place = _varied(state, place, down, right, turn, rules, pyramid.step)
        plane = _drawn(state, surfaces, int(y), int(x))
        _offer(field, row, column, target, pyramid, level, surfaces, rules, place, plane)


@njit(cache=True, parallel=True)
def price(field, target, pyramid, level, surfaces, rules):
    """Fill in the costs of a field's places, for a target of float32, shape (H, W), in [0, 1]."""
    for row in prange(RADIUS, target.shape[0] - RADIUS):
        for column in range(RADIUS, target.shape[1] - RADIUS):
            place, plane = _place(field.places, row, column), field.planes[row, column]
            field.costs[row, column] = NONE
            _offer(field, row, column, target, pyramid, level, surfaces, rules, place, plane)


@njit(cache=True, parallel=True)
def improve(field, before, target, pyramid, level, surfaces, rules, forward, seed, first, last):
    """One iteration of PatchMatch: from neighbours above and left, or below and right; by chance.

    Parameters
    ----------
    field : Field
        Changed in place, where a candidate costs less.
    before : Field
        As it was before the iteration.
    target : ndarray of float32, shape (H, W), in [0, 1]
    pyramid : Pyramid
    level : int
        The target's own.
    surfaces : Surfaces
    rules : Rules
    forward : bool
        Row by row from above, or from below.
    seed : int
        Of what is drawn by chance.
    first, last : int
        The strips of `STRIP` rows to work through, without the last.

    References
    ----------
    C. Barnes, E. Shechtman, D. Goldman, A. Finkelstein, "The generalized PatchMatch correspondence
    algorithm", ECCV 2010.
    """
    height, width = target.shape
    back = -1 if forward else 1
    for strip in prange(first, last):
        state = np.empty(1, np.uint64)
        state[0] = (np.uint64(seed) << np.uint64(32)) + np.uint64(strip + 1) * np.uint64(0x9E3779B9)
        for _ in range(8):
            _random(state)
        top = RADIUS + strip * STRIP
        end = min(top + STRIP, height - RADIUS)
        for k in range((end - top) * (width - 2 * RADIUS)):
            row, column = divmod(k, width - 2 * RADIUS)
            row = top + row if forward else end - 1 - row
            column = RADIUS + column if forward else width - RADIUS - 1 - column
            for down, right in ((back, 0), (0, back)):
                r, c = row + down, column + right
                if not (RADIUS <= r < height - RADIUS and RADIUS <= c < width - RADIUS):
                    continue
                seen = field if top <= r < end else before
                place = _moved(seen, r, c, -down, -right, pyramid, level, surfaces)
                plane = seen.planes[r, c]
                _offer(field, row, column, target, pyramid, level, surfaces, rules, place, plane)
            _search(field, row, column, target, pyramid, level, surfaces, rules, state)


@njit(cache=True, parallel=True)
def _examples(field, target, pyramid, level, surfaces, rules):
    """Of every patch: its example's level; centre, matrix, what its mean lacks, and its weight."""
    height, width = target.shape
    levels = np.zeros((height, width), np.int32)
    found = np.zeros((height, width, 8), np.float32)
    for row in prange(RADIUS, height - RADIUS):
        for column in range(RADIUS, width - RADIUS):
            cost = field.costs[row, column]
            if cost >= NONE:
                continue
            place, plane = _place(field.places, row, column), field.planes[row, column]
            ty, tx = _centre(row, column, pyramid.ratios[level])
            matrix = _seen(surfaces, plane, ty, tx, place)
            j, y, x, a, b, c, d = _located(pyramid, level, place, matrix)
            start, line, k = pyramid.starts[j], pyramid.shapes[j, 1], 0
            lacks = np.float32(0)
            for u in range(-RADIUS, RADIUS + 1):
                for v in range(-RADIUS, RADIUS + 1):
                    seen = _sample(pyramid.lows, start, line, y + a * u + b * v, x + c * u + d * v)
                    lacks += rules.weights[k] * (target[row + u, column + v] - seen)
                    k += 1
            levels[row, column] = j
            here = found[row, column]
            here[0], here[1], here[2], here[3], here[4], here[5] = y, x, a, b, c, d
            here[6], here[7] = lacks, 1 / (cost + _DOUBT)
    return levels, found


@njit(cache=True, parallel=True)
def vote(field, target, pyramid, level, surfaces, rules):
    """The mean of what the examples of the patches around a pixel hold in sharp; (H, W).

    The target's values stay where no patch has an example.
    """
    height, width = target.shape
    levels, found = _examples(field, target, pyramid, level, surfaces, rules)
    result = target.copy()
    for row in prange(height):
        for column in range(width):
            total, weights = np.float32(0), np.float32(0)
            for u in range(max(-RADIUS, row - height + 1), min(RADIUS, row) + 1):
                for v in range(max(-RADIUS, column - width + 1), min(RADIUS, column) + 1):
                    y, x, a, b, c, d, lacks, weight = found[row - u, column - v]
                    if weight == 0:
                        continue
                    weight *= rules.weights[(u + RADIUS) * (2 * RADIUS + 1) + v + RADIUS]
                    j = levels[row - u, column - v]
                    y, x = y + a * u + b * v, x + c * u + d * v
                    value = _sample(pyramid.highs, pyramid.starts[j], pyramid.shapes[j, 1], y, x)
                    total += weight * (value + lacks)
                    weights += weight
            if weights > 0:
                result[row, column] = total / weights
    return result
