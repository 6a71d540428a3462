"""Training of the methods that learn from patches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from bigsharp.classic.dictionary import learn_atoms, pursue
from bigsharp.classic.forest import Forest, Growth, share
from bigsharp.classic.patches import PATCH, REACH, cut, gradient_map, surroundings
from bigsharp.classic.sparse import ATOMS
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, to_unit
from bigsharp.image.resize import imresize
from bigsharp.weights.file import Learned


@dataclass(frozen=True)
class Settings:
    """What the papers say of training.

    Attributes
    ----------
    energy : float
        Of the gradients, kept by PCA.
    atoms : int
    rounds : int
        Of K-SVD.
    dictionary_samples : int
        Patches that the dictionary is learned from.
    zooms : int
        Sizes of each image, each 0.98 of the one before.
    samples : int
        Patches that the neighbourhoods are drawn from, and that each tree grows on.
    neighbours : int
        Patches an atom.
    ridge : float
    rank : int
        Of the basis that residual patches are written in.
    trees : int
    growth : Growth
        Of the trees.
    shared : int
        Regressors that those of a forest's leaves are sums of.
    seed : int
    """

    energy: float = 0.999
    atoms: int = 1024
    rounds: int = 20
    dictionary_samples: int = 150_000
    zooms: int = 12
    samples: int = 5_000_000
    neighbours: int = 2048
    ridge: float = 0.1
    rank: int = 72
    trees: int = 10
    growth: Growth = field(default_factory=Growth)
    shared: int = 96
    seed: int = 0


#: Features, (n, d), and residuals, (n, 9 s²), of some patches, again and again.
Samples = Iterator[tuple[Array, Array]]

_ZOOM = 0.98

# Cut off the residual at each border, in LR pixels: patches there see beyond the picture.
_INNER = REACH - PATCH // 2

# A patch whose features are shorter differs by less than a grey level from a flat one.
_FLAT = 1e-3

# Patches whose codes are multiplied together.
_BLOCK = 8192

# Atoms whose neighbours are sought together; of 5 million patches, 640 MB.
_TOGETHER = 32


def smallest_side(scale: int) -> int:
    """The shortest side, in HR pixels, of an image that has a patch to learn from."""
    return (2 * REACH + 1) * scale


def train(
    method: str,
    scale: int,
    images: Sequence[Array],
    settings: Settings,
    report: Callable[[str], None] = lambda line: None,
) -> Learned:
    """Learn a model from images.

    Parameters
    ----------
    method : {"sparse", "neighbours", "aplus", "rfl"}
    scale : int
    images : sequence of ndarray of uint8, shape (H, W)
        HR luma, with sides of at least `smallest_side`.
    settings : Settings
    report : callable
        Called with a line for each thing begun.

    Raises
    ------
    BigsharpError
        The images hold fewer patches than the dictionary has atoms, or than a leaf of a forest has.
    """
    random = np.random.default_rng(settings.seed)

    def begin(what: str) -> None:
        report(f"{method} ×{scale}: {what}")

    def samples() -> Samples:
        begin("samples")
        zooms = [_ZOOM**k for k in range(settings.zooms)]
        for seen, residuals in draw(images, scale, zooms, settings.samples, random):
            yield seen @ features, residuals

    begin("features")
    drawn = zip(*draw(images, scale, [1.0], settings.dictionary_samples, random), strict=True)
    seen, residuals = map(np.concatenate, drawn)
    features = learn_features(seen, scale, settings.energy).astype(np.float32)
    signals = seen @ features
    useful = np.count_nonzero(np.linalg.norm(signals, axis=1) > _FLAT)
    needed = settings.growth.smallest if method == "rfl" else settings.atoms
    if useful < needed:
        raise BigsharpError(
            f"the images hold {useful} patches at ×{scale} that are not flat, fewer than the "
            f"{needed} that {method} needs; more or larger images are needed"
        )
    if method == "rfl":
        basis = np.linalg.eigh(residuals.T @ residuals)[1][:, ::-1][:, : settings.rank]
        state = learn_forest(samples(), basis, settings, random, begin)
    else:
        begin("dictionary")
        atoms = learn_atoms(signals, settings.atoms, ATOMS, settings.rounds, settings.seed)
        if method == "aplus":
            state = learn_regressors(atoms, samples(), settings, begin)
        else:
            state = {"atoms": atoms, "patches": couple(atoms, signals, residuals)}
    return Learned(method, {"scale": scale}, (scale,), {"features": features, **state})


def draw(
    images: Sequence[Array], scale: int, zooms: Sequence[float], limit: int, random: Generator
) -> Iterator[tuple[Array, Array]]:
    """Patches of every image at every zoom ≤ 1, drawn by chance where they are more than `limit`.

    Those at the border take no part, where features see beyond the picture.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (H, W)
        HR luma.
    scale : int
    zooms : sequence of float
    limit : int
        Patches of all images together, about.
    random : Generator

    Yields
    ------
    seen : ndarray of float32, shape (n, 81)
        The LR pixels around each patch; see `surroundings`.
    residuals : ndarray of float32, shape (n, 9 s²)
        HR − ILR, of luma in [0, 1].
    """
    expected = sum(image.size for image in images) * sum(z * z for z in zooms) / scale**2
    for zoom in zooms:
        for image in images:
            hr = imresize(to_unit(image), zoom)
            if min(hr.shape) < smallest_side(scale):
                continue
            lr, residual = pair(hr, scale)
            count = math.prod(n - 2 * REACH for n in lr.shape)
            picked = np.flatnonzero(random.random(count) < limit / expected)
            beyond = slice(_INNER * scale, -_INNER * scale)
            yield surroundings(lr, picked), cut(residual[beyond, beyond], scale, picked)


def pair(hr: Array, scale: int) -> tuple[Array, Array]:
    """The LR image of an HR image, and the residual; the HR cropped to whole LR pixels.

    Parameters
    ----------
    hr : ndarray of float32, shape (H, W), in [0, 1]
    scale : int

    Returns
    -------
    lr : ndarray of float32, shape (H // s, W // s)
    residual : ndarray of float32, shape (H // s · s, W // s · s)
    """
    height, width = (n // scale for n in hr.shape)
    hr = hr[: height * scale, : width * scale]
    lr = imresize(hr, size=(height, width))
    return lr, hr - imresize(lr, size=hr.shape)


def directed(features: Array, residuals: Array) -> tuple[Array, Array]:
    """Features at unit length, and residuals divided by the same; no flat patches.

    Parameters
    ----------
    features, residuals : ndarray of float32, shape (n, d) and (n, 9 s²)

    Returns
    -------
    features : ndarray of float32, shape (m, d)
    residuals : ndarray of float16, shape (m, 9 s²)
    """
    length = np.linalg.norm(features, axis=1, keepdims=True)
    kept = length[:, 0] > _FLAT
    length = length[kept]
    return features[kept] / length, (residuals[kept] / length).astype(np.float16)


def orient(features: Array, residuals: Array) -> tuple[Array, Array]:
    """Features and residuals, the negative of both where the first feature is negative.

    Parameters
    ----------
    features, residuals : ndarray of float32, shape (n, d) and (n, r)

    Returns
    -------
    features : ndarray of float32, shape (n, d)
    residuals : ndarray of float16, shape (n, r)
    """
    sign = np.where(features[:, :1] < 0, np.float32(-1), np.float32(1))
    return features * sign, (residuals * sign).astype(np.float16)


def learn_features(seen: Array, scale: int, energy: float) -> Array:
    """PCA of the gradients of LR pixels.

    Parameters
    ----------
    seen : ndarray of float32, shape (n, 81)
        From `surroundings`.
    scale : int
    energy : float
        Of the gradients' squares, in [0, 1], that the components kept hold.

    Returns
    -------
    ndarray of float64, shape (81, d)
        From LR pixels to features, the largest component first.
    """
    gradients = gradient_map(scale)
    moment = (seen.T @ seen).astype(np.float64)
    values, vectors = np.linalg.eigh(gradients @ moment @ gradients.T)
    kept = np.cumsum(values) > (1 - energy) * values.sum()
    return gradients.T @ vectors[:, kept][:, ::-1]


def couple(atoms: Array, features: Array, residuals: Array) -> Array:
    """The residual patch of each atom, by least squares: codes of features are to give residuals.

    Parameters
    ----------
    atoms : ndarray of float32, shape (K, d)
        Of unit length.
    features, residuals : ndarray of float32, shape (n, d) and (n, 9 s²)

    Returns
    -------
    ndarray of float32, shape (K, 9 s²)

    References
    ----------
    R. Zeyde, M. Elad, M. Protter, "On single image scale-up using sparse-representations", Curves
    and Surfaces 2010.
    """
    chosen, weights = pursue(features, atoms, ATOMS)
    size = len(atoms)
    gram, sums = np.zeros((size, size)), np.zeros((size, residuals.shape[1]))
    for start in range(0, len(features), _BLOCK):
        block = slice(start, start + _BLOCK)
        codes = np.zeros((len(features[block]), size), np.float32)
        np.put_along_axis(codes, chosen[block], weights[block], axis=1)
        gram += codes.T @ codes
        sums += codes.T @ residuals[block]
    # An atom that no signal chose has no residual.
    gram += 1e-6 * np.trace(gram) / size * np.eye(size)
    return np.linalg.solve(gram, sums).astype(np.float32)


def nearest_samples(closeness: Array, count: int) -> Array:
    """Numbers of the `count` largest values, intp, in no order; all where they are fewer."""
    if count >= len(closeness):
        return np.arange(len(closeness))
    # A threshold out of every 64th, so that few are left to sort: 10 ms in place of 80.
    some = closeness[::64]
    rank = len(some) - 2 * count // 64 - 32
    threshold = np.partition(some, rank)[rank] if rank > 0 else 0
    near = np.flatnonzero(closeness >= threshold)
    if len(near) < count:
        near = np.arange(len(closeness))
    return near[np.argpartition(closeness[near], len(near) - count)[len(near) - count :]]


def learn_regressors(
    atoms: Array, samples: Samples, settings: Settings, begin: Callable[[str], None]
) -> dict[str, Array]:
    """A+'s arrays, by the names of its arguments, but for the features.

    Each atom has a ridge regressor of its neighbours, written in a basis that all share.

    Parameters
    ----------
    atoms : ndarray of float32, shape (K, d)
        Of unit length.
    samples : iterator of (features, residuals)
        float32, (n, d) and (n, 9 s²).
    settings : Settings
    begin : callable
        Called with what is begun.

    References
    ----------
    R. Timofte, V. De Smet, L. Van Gool, "A+: Adjusted anchored neighborhood regression for fast
    super-resolution", ACCV 2014; the basis is ours.
    """
    directions = (directed(*sample) for sample in samples)
    features, residuals = map(np.concatenate, zip(*directions, strict=True))
    begin("regressors")
    dimension, size = features.shape[1], residuals.shape[1]
    regressors = np.empty((len(atoms), dimension, size), np.float32)
    moment = np.zeros((size, size))
    for k in range(len(atoms)):
        if k % _TOGETHER == 0:
            # An atom and its negative are one: a regressor is linear.
            closeness = np.abs(atoms[k : k + _TOGETHER] @ features.T)
        near = nearest_samples(closeness[k % _TOGETHER], settings.neighbours)
        given, wanted = features[near].astype(np.float64), residuals[near].astype(np.float64)
        system = given.T @ given
        regressors[k] = np.linalg.solve(
            system + settings.ridge * np.eye(dimension), given.T @ wanted
        )
        moment += regressors[k].T @ system @ regressors[k]
    basis = np.linalg.eigh(moment)[1][:, ::-1][:, : settings.rank].T
    regressors = regressors @ basis.T.astype(np.float32)
    return {
        "anchors": atoms,
        "regressors": regressors.astype(np.float16),
        "basis": basis.astype(np.float32),
    }


def learn_forest(
    samples: Samples,
    basis: Array,
    settings: Settings,
    random: Generator,
    begin: Callable[[str], None],
) -> dict[str, Array]:
    """RFL's arrays, by the names of its arguments, but for the features.

    Parameters
    ----------
    samples : iterator of (features, residuals)
        float32, (n, d) and (n, 9 s²).
    basis : ndarray of float32, shape (9 s², r)
        Orthonormal; what residuals are written in.
    settings : Settings
    random : Generator
    begin : callable
        Called with what is begun.

    References
    ----------
    S. Schulter, C. Leistner, H. Bischof, "Fast and accurate image upscaling with super-resolution
    forests", CVPR 2015; that leaves share regressors is ours.
    """
    oriented = (orient(features, residuals @ basis) for features, residuals in samples)
    features, residuals = map(np.concatenate, zip(*oriented, strict=True))
    forest = Forest()
    for tree in range(settings.trees):
        begin(f"tree {tree + 1} of {settings.trees}")
        forest.plant(features, residuals, settings.growth, random)
    moment = (features.T @ features).astype(np.float64)
    regressors, energies = np.array(forest.regressors), np.array(forest.energies)
    shares, shared = share(regressors, energies, moment, settings.shared)
    return {
        "roots": np.array(forest.roots, np.int32),
        "pairs": np.array(forest.pairs, np.int8).reshape(-1, 2),
        "thresholds": np.array(forest.thresholds, np.float32),
        "children": np.array(forest.children, np.int32).reshape(-1, 2),
        "shares": shares,
        "shared": shared,
        "basis": basis.T,
    }
