"""Regression forests with linear leaves: grown, and their regressors made of few."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from bigsharp.image.arrays import Array

#: Patches of a node that its splits are tried on.
TRIED_ON = 512

# Of the shares, what 8 bits hold; the rest is cut.
_WITHIN = 0.9999


@dataclass(frozen=True)
class Growth:
    """How trees grow.

    Attributes
    ----------
    depth : int
        Splits from the root to a leaf, at most.
    smallest : int
        Patches in a leaf, at least.
    splits : int
        Tried at each node.
    ridge : float
    """

    depth: int = 15
    smallest: int = 200
    splits: int = 64
    ridge: float = 0.01


@dataclass
class Forest:
    """Trees in common lists of splits and leaves; the lists are those of `rfl.RFL`.

    Attributes
    ----------
    roots, pairs, thresholds, children : list
    regressors : list of ndarray of float32, shape (d, r)
        Of each leaf.
    energies : list of float
        The sum of the squares of the features in each leaf.
    """

    roots: list[int] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    children: list[tuple[int, int]] = field(default_factory=list)
    regressors: list[Array] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)

    def plant(self, features: Array, residuals: Array, growth: Growth, random: Generator) -> None:
        """Grow another tree.

        Parameters
        ----------
        features : ndarray of float32, shape (n, d)
        residuals : ndarray of float16, shape (n, r)
        growth : Growth
        random : Generator

        References
        ----------
        S. Schulter, C. Leistner, H. Bischof, "Fast and accurate image upscaling with
        super-resolution forests", CVPR 2015.
        """
        # Both sides of the objective count as much, whatever their units.
        some = slice(None, None, max(1, len(features) // 100_000))
        energy = np.square(residuals[some], dtype=np.float32).sum()
        weight = np.sqrt(energy / np.square(features[some]).sum())

        def branch(these: Array, depth: int) -> int:
            """Grow the tree of `these` patches; its first node."""
            parts = None
            if depth < growth.depth and len(these) >= 2 * growth.smallest:
                tried = these
                if len(these) > TRIED_ON:
                    tried = these[random.integers(0, len(these), TRIED_ON)]
                found = features[tried]
                joint = np.concatenate([residuals[tried].astype(np.float32), found * weight], 1)
                first, second, threshold = best_split(found, joint, growth.splits, random)
                left = features[these, first] - features[these, second] < threshold
                parts = these[left], these[~left]
            if parts is None or min(map(len, parts)) < growth.smallest:
                return self._leaf(features[these], residuals[these], growth.ridge)
            node = len(self.pairs)
            self.pairs.append((first, second))
            self.thresholds.append(threshold)
            self.children.append((0, 0))
            self.children[node] = (branch(parts[0], depth + 1), branch(parts[1], depth + 1))
            return node

        self.roots.append(branch(np.arange(len(features)), 0))

    def _leaf(self, features: Array, residuals: Array, ridge: float) -> int:
        given, wanted = features.astype(np.float64), residuals.astype(np.float64)
        system = given.T @ given
        self.energies.append(float(np.trace(system)))
        regressor = np.linalg.solve(system + ridge * np.eye(len(system)), given.T @ wanted)
        self.regressors.append(regressor.astype(np.float32))
        return -len(self.regressors)


def best_split(
    features: Array, joint: Array, count: int, random: Generator
) -> tuple[int, int, float]:
    """Of some splits by chance, the one that reduces the variance of the two sides most.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    joint : ndarray of float32, shape (n, m)
        What is to vary less: residuals and features, by their weights.
    count : int
        Splits to try.
    random : Generator

    Returns
    -------
    first, second : int
        Different features.
    threshold : float
        ``features[:, first] − features[:, second] < threshold`` is one side.
    """
    size, dimension = features.shape
    first = random.integers(0, dimension, count)
    second = (first + random.integers(1, dimension, count)) % dimension
    apart = features[:, first] - features[:, second]
    thresholds = apart[random.integers(0, size, count), np.arange(count)]
    sides = (apart < thresholds).T.astype(np.float32)
    members = sides.sum(axis=1)
    sums = sides @ joint
    # The squares' total stays; the variance is least where the sides' means are largest.
    quality = np.square(sums).sum(axis=1) / np.maximum(members, 1)
    quality += np.square(joint.sum(axis=0) - sums).sum(axis=1) / (size - members)
    best = quality.argmax()
    return int(first[best]), int(second[best]), float(thresholds[best])


def share(regressors: Array, energies: Array, moment: Array, count: int) -> tuple[Array, Array]:
    """Write regressors as sums of few, those that change the predictions least.

    Parameters
    ----------
    regressors : ndarray of float32, shape (L, d, r)
    energies : ndarray, shape (L,)
        The squares of the features that each is for, summed.
    moment : ndarray of float64, shape (d, d)
        Of all features: the sum of x xᵀ.
    count : int
        Regressors to share.

    Returns
    -------
    shares : ndarray of int8, shape (L, count)
    shared : ndarray of float32, shape (count, d, r)
        ``regressors[l] ≈ Σ shares[l, k] shared[k]``.
    """
    # A PCA, where features have been made white and leaves weigh by their energy.
    values, vectors = np.linalg.eigh(moment / np.trace(moment))
    spread = np.sqrt(np.maximum(values, 1e-9 * values[-1]))
    white = ((vectors * spread).T.astype(np.float32) @ regressors).reshape(len(regressors), -1)
    weighted = white * np.sqrt(energies / energies.sum()).astype(np.float32)[:, None]
    main = np.linalg.eigh(weighted.T @ weighted)[1][:, ::-1][:, :count].astype(np.float32)
    shares = white @ main
    steps = np.maximum(np.quantile(np.abs(shares), _WITHIN, axis=0) / 127, 1e-12)
    whole = np.clip(np.round(shares / steps), -127, 127).astype(np.int8)
    shared = (vectors / spread) @ (main * steps).T.reshape(-1, *regressors.shape[1:])
    return whole, shared.astype(np.float32)
