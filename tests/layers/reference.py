"""Recurrent cells in float64 NumPy, one sequence element at a time, no gates fused.

Independent of the package: written from the papers, with complex-step derivatives
(exact to rounding for analytic functions).
"""

from collections.abc import Callable

import numpy as np

Arrays = list[np.ndarray]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def elman(x: np.ndarray, state: Arrays, weights: Arrays) -> Arrays:
    w, u, b = weights
    return [np.tanh(x @ w + state[0] @ u + b)]


def lstm(x: np.ndarray, state: Arrays, weights: Arrays) -> Arrays:
    h, c = state
    w_i, w_f, w_g, w_o = np.split(weights[0], 4, axis=1)
    u_i, u_f, u_g, u_o = np.split(weights[1], 4, axis=1)
    b_i, b_f, b_g, b_o = np.split(weights[2], 4)
    remembered = sigmoid(x @ w_f + h @ u_f + b_f) * c
    written = sigmoid(x @ w_i + h @ u_i + b_i) * np.tanh(x @ w_g + h @ u_g + b_g)
    cell = remembered + written
    return [sigmoid(x @ w_o + h @ u_o + b_o) * np.tanh(cell), cell]


def gru(x: np.ndarray, state: Arrays, weights: Arrays) -> Arrays:
    (h,) = state
    w_z, w_r, w_h = np.split(weights[0], 3, axis=1)
    u_z, u_r, u_h = np.split(weights[1], 3, axis=1)
    (b_z, b_r, b_h), (d_z, d_r, d_h) = (np.split(b, 3) for b in weights[2])
    z = sigmoid(x @ w_z + b_z + h @ u_z + d_z)
    r = sigmoid(x @ w_r + b_r + h @ u_r + d_r)
    return [z * h + (1 - z) * np.tanh(x @ w_h + b_h + r * (h @ u_h + d_h))]


def gru_reset_before(x: np.ndarray, state: Arrays, weights: Arrays) -> Arrays:
    (h,) = state
    w_z, w_r, w_h = np.split(weights[0], 3, axis=1)
    u_z, u_r, u_h = np.split(weights[1], 3, axis=1)
    b_z, b_r, b_h = np.split(weights[2], 3)
    z = sigmoid(x @ w_z + b_z + h @ u_z)
    r = sigmoid(x @ w_r + b_r + h @ u_r)
    return [z * h + (1 - z) * np.tanh(x @ w_h + b_h + (r * h) @ u_h)]


def run(
    cell: Callable[[np.ndarray, Arrays, Arrays], Arrays],
    x: np.ndarray,
    state: Arrays,
    weights: Arrays,
    mask: np.ndarray | None = None,
) -> Arrays:
    """Hidden states (B, T, units) and the last state; masked steps keep the state."""
    hidden = []
    for t in range(x.shape[1]):
        new = cell(x[:, t], state, weights)
        if mask is not None:
            keep = mask[:, t, None]
            new = [np.where(keep, n, o) for n, o in zip(new, state, strict=True)]
        state = new
        hidden.append(state[0])
    return [np.stack(hidden, axis=1), *state]


def derivatives(function: Callable[[Arrays], complex], arrays: Arrays) -> Arrays:
    """d function / d each element of each array, by complex steps."""
    found = []
    for k, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            moved = [a.astype(complex) for a in arrays]
            moved[k][index] += 1e-30j
            gradient[index] = function(moved).imag / 1e-30
        found.append(gradient)
    return found
