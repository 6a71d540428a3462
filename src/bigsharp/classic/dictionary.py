"""Dictionaries for sparse coding: orthogonal matching pursuit and K-SVD."""

from __future__ import annotations

import numpy as np

from bigsharp.image.arrays import Array

# Signals that are coded together; their products with the atoms stay in the cache.
_BLOCK = 512


def pursue(signals: Array, atoms: Array, count: int) -> tuple[Array, Array]:
    """Orthogonal matching pursuit: the `count` atoms that explain each signal, one after another.

    Parameters
    ----------
    signals : ndarray of float32, shape (n, d)
    atoms : ndarray of float32, shape (K, d)
        Of unit length.
    count : int

    Returns
    -------
    chosen : ndarray of intp, shape (n, count)
        Numbers of atoms. One that was chosen twice has 0 the second time.
    weights : ndarray of float32, shape (n, count)
        ``signals ≈ Σ weights[:, k] atoms[chosen[:, k]]``.

    References
    ----------
    R. Rubinstein, M. Zibulevsky, M. Elad, "Efficient implementation of the K-SVD algorithm using
    batch orthogonal matching pursuit", Technion CS-2008-08.
    """
    gram = atoms @ atoms.T
    parts = [
        _pursue_block(signals[start : start + _BLOCK], atoms, gram, count)
        for start in range(0, len(signals), _BLOCK)
    ]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _pursue_block(signals: Array, atoms: Array, gram: Array, count: int) -> tuple[Array, Array]:
    correlations = signals @ atoms.T
    chosen = np.empty((len(signals), count), np.intp)
    weights = np.zeros((len(signals), 0), np.float32)
    rest = correlations
    rows = np.arange(len(signals))[:, None]
    for k in range(count):
        chosen[:, k] = np.abs(rest).argmax(axis=1)
        these = chosen[:, : k + 1]
        system = gram[these[:, :, None], these[:, None, :]]
        # An atom chosen again, of a signal explained already, would make the system singular.
        system += np.float32(1e-6) * np.eye(k + 1, dtype=np.float32)
        weights = np.linalg.solve(system, correlations[rows, these][..., None])[..., 0]
        if k + 1 < count:
            explained = np.einsum("nk,nkd->nd", weights, atoms[these])
            rest = (signals - explained) @ atoms.T
    return chosen, weights


def learn_atoms(signals: Array, size: int, count: int, rounds: int, seed: int) -> Array:
    """K-SVD: a dictionary in which every signal is a sum of few atoms.

    Parameters
    ----------
    signals : ndarray of float32, shape (n, d)
    size : int
        Atoms to learn; at most n.
    count : int
        Atoms a signal.
    rounds : int
    seed : int
        Of the signals that it begins with.

    Returns
    -------
    ndarray of float32, shape (size, d)
        Of unit length.

    References
    ----------
    M. Aharon, M. Elad, A. Bruckstein, "K-SVD", IEEE Trans. Signal Processing 54(11), 2006; an atom
    is updated by one step of the power method, as in Rubinstein et al. 2008.
    """
    random = np.random.default_rng(seed)
    lengths = np.linalg.norm(signals, axis=1)
    usable = np.flatnonzero(lengths > 1e-6)
    atoms = _unit(signals[random.choice(usable, size, replace=len(usable) < size)])
    for _ in range(rounds):
        chosen, weights = pursue(signals, atoms, count)
        rest = signals - np.einsum("nk,nkd->nd", weights, atoms[chosen])
        order = np.argsort(chosen, axis=None, kind="stable")
        ends = np.searchsorted(chosen.ravel()[order], np.arange(size + 1))
        worst = iter(np.argsort(-np.einsum("nd,nd->n", rest, rest)))
        for atom in range(size):
            uses = order[ends[atom] : ends[atom + 1]]
            if len(uses) == 0:
                atoms[atom] = _unit(signals[next(worst)][None])[0]
                continue
            of = uses // count
            share = weights.reshape(-1)[uses]
            without = rest[of] + share[:, None] * atoms[atom]
            atoms[atom] = _unit((share @ without)[None])[0]
            share = without @ atoms[atom]
            rest[of] = without - share[:, None] * atoms[atom]
            weights.reshape(-1)[uses] = share
    return atoms


def _unit(vectors: Array) -> Array:
    """Vectors of unit length; what is 0 stays 0."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
