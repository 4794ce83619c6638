"""The cells in NumPy, a row and a gate at a time, written from the papers.

Independent of the package: nothing is fused, stabilised or computed ahead. They take
complex arrays, so that `tests.layers.reference.derivatives` finds gradients exact to
rounding. A cell is a function (inputs so far, state, weights, options) -> output, new
state; the last of the inputs is the present one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.layers.reference import sigmoid

Arrays = list[np.ndarray]
Named = dict[str, np.ndarray]
CellFunction = Callable[..., tuple[np.ndarray, Arrays]]


def affine(v: np.ndarray, w: Named, gates: int, names: str = "") -> Arrays:
    """W v + b of each gate."""
    kernels = np.split(w[f"{names}kernel"], gates, axis=1)
    biases = np.split(w[f"{names}bias"], gates)
    return [v @ k + b for k, b in zip(kernels, biases, strict=True)]


def coupled_lstm(xs: Arrays, state: Arrays, w: Named) -> tuple[np.ndarray, Arrays]:
    h, c = state
    f, g, o = affine(xs[-1], w, 3)
    u_f, u_g, u_o = np.split(w["recurrent_kernel"], 3, axis=1)
    forget = sigmoid(f + h @ u_f)
    c = forget * c + (1 - forget) * np.tanh(g + h @ u_g)
    h = sigmoid(o + h @ u_o) * np.tanh(c)
    return h, [h, c]


def peephole_lstm(xs: Arrays, state: Arrays, w: Named) -> tuple[np.ndarray, Arrays]:
    h, c = state
    i, f, g, o = affine(xs[-1], w, 4)
    u_i, u_f, u_g, u_o = np.split(w["recurrent_kernel"], 4, axis=1)
    write = sigmoid(i + h @ u_i + w["input_peephole"] * c)
    forget = sigmoid(f + h @ u_f + w["forget_peephole"] * c)
    c = forget * c + write * np.tanh(g + h @ u_g)
    h = sigmoid(o + h @ u_o + w["output_peephole"] * c) * np.tanh(c)
    return h, [h, c]


def layer_norm_lstm(xs: Arrays, state: Arrays, w: Named) -> tuple[np.ndarray, Arrays]:
    def norm(v: np.ndarray, gain: np.ndarray) -> np.ndarray:
        mean = v.sum(-1, keepdims=True) / v.shape[-1]
        variance = ((v - mean) ** 2).sum(-1, keepdims=True) / v.shape[-1]
        return gain * (v - mean) / np.sqrt(variance + 1e-5)

    h, c = state
    gates = norm(xs[-1] @ w["kernel"], w["input_gain"])
    gates = gates + norm(h @ w["recurrent_kernel"], w["recurrent_gain"]) + w["bias"]
    i, f, g, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(norm(c, w["cell_gain"]) + w["cell_bias"])
    return h, [h, c]


def mgu(xs: Arrays, state: Arrays, w: Named) -> tuple[np.ndarray, Arrays]:
    (h,) = state
    x_f, x_h = affine(xs[-1], w, 2)
    f = sigmoid(x_f + h @ w["forget_kernel"])
    candidate = np.tanh(x_h + (f * h) @ w["candidate_kernel"])
    h = (1 - f) * h + f * candidate
    return h, [h]


def mogrified(
    x: np.ndarray, h: np.ndarray, w: Named, rounds: int, rank: int | None
) -> tuple[np.ndarray, np.ndarray]:
    def whole(name: str) -> np.ndarray:
        if rank is None:
            return w[name]
        return w[f"{name}_left"] @ w[f"{name}_right"]

    for i in range(1, rounds + 1):
        if i % 2 == 1:
            x = 2 * sigmoid(h @ whole(f"q{i}")) * x
        else:
            h = 2 * sigmoid(x @ whole(f"r{i}")) * h
    return x, h


def mogrifier_lstm(
    xs: Arrays, state: Arrays, w: Named, rounds: int = 5, rank: int | None = None
) -> tuple[np.ndarray, Arrays]:
    h, c = state
    x, h = mogrified(xs[-1], h, w, rounds, rank)
    gates = x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"]
    i_, f, g, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i_) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, [h, c]


def rlstm(
    xs: Arrays, state: Arrays, w: Named, rounds: int = 0, rank: int | None = None
) -> tuple[np.ndarray, Arrays]:
    h, c = state
    x, h = mogrified(xs[-1], h, w, rounds, rank)
    x_i, x_j = affine(x, w, 2)
    u_i, u_j, u_f = np.split(w["recurrent_kernel"], 3, axis=1)
    i = sigmoid(x_i + h @ u_i)
    j = np.tanh(x_j + h @ u_j)
    f = sigmoid((i * j) @ w["forget_kernel"] + h @ u_f + w["forget_bias"])
    c = f * c - larger(-i, f - 1) * j  # the smaller one of i and 1 - f
    h = sigmoid(c @ w["output_kernel"] + w["output_bias"]) * np.tanh(c)
    return h, [h, c]


def qrnn(
    xs: Arrays, state: Arrays, w: Named, pooling: str = "fo", window_size: int = 2
) -> tuple[np.ndarray, Arrays]:
    (c,) = state
    gates = len(pooling) + 1
    width = xs[-1].shape[-1]
    parts = [np.zeros((), complex)] * gates
    for lag in range(window_size):
        rows = slice((window_size - 1 - lag) * width, (window_size - lag) * width)
        before = xs[-1 - lag] if lag < len(xs) else np.zeros_like(xs[-1])
        for k, kernel in enumerate(np.split(w["kernel"][rows], gates, axis=1)):
            parts[k] = parts[k] + before @ kernel
    z, f, o, *i = (
        p + b for p, b in zip(parts, np.split(w["bias"], gates), strict=True)
    )
    write = sigmoid(i[0]) if pooling == "ifo" else 1 - sigmoid(f)
    c = sigmoid(f) * c + write * np.tanh(z)
    return sigmoid(o) * c, [c]


def sru(
    xs: Arrays, state: Arrays, w: Named, highway_bias: float = 0.0
) -> tuple[np.ndarray, Arrays]:
    (before,), x = state, xs[-1]
    straight = x @ w["straight_kernel"] if "straight_kernel" in w else x
    parts = np.split(x @ w["kernel"], 3, axis=-1)
    f = sigmoid(parts[1] + w["forget_peephole"] * before + w["forget_bias"])
    r = sigmoid(parts[2] + w["highway_peephole"] * before + w["highway_bias"])
    c = f * before + (1 - f) * parts[0]
    alpha = np.sqrt(1 + 2 * np.exp(highway_bias))
    return r * c + (1 - r) * alpha * straight, [c]


def positive(a: np.ndarray, kind: str) -> np.ndarray:
    return a if kind == "linear" else np.where(a.real >= 0, a + 0.5, sigmoid(a))


def min_gru(
    xs: Arrays, state: Arrays, w: Named, candidate: str = "positive"
) -> tuple[np.ndarray, Arrays]:
    z, h = affine(xs[-1], w, 2)
    z = sigmoid(z)
    h = (1 - z) * state[0] + z * positive(h, candidate)
    return h, [h]


def min_lstm(
    xs: Arrays, state: Arrays, w: Named, candidate: str = "positive"
) -> tuple[np.ndarray, Arrays]:
    f, i, h = affine(xs[-1], w, 3)
    f, i = sigmoid(f), sigmoid(i)
    h = f / (f + i) * state[0] + i / (f + i) * positive(h, candidate)
    return h, [h]


def larger(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(a.real >= b.real, a, b)


def slstm(
    xs: Arrays, state: Arrays, w: Named, heads: int = 1, forget: str = "sigmoid"
) -> tuple[np.ndarray, Arrays]:
    h, c, n, m = state
    size = h.shape[-1] // heads
    c, n = c * np.exp(m), n * np.exp(m)  # as the equations have them, not scaled
    new = []
    kernel = np.split(w["kernel"], heads, axis=1)
    bias = np.split(w["bias"], heads)
    for k in range(heads):
        own = slice(k * size, (k + 1) * size)
        gates = xs[-1] @ kernel[k] + h[:, own] @ w["recurrent_kernel"][k] + bias[k]
        z, i, f, o = np.split(gates, 4, axis=-1)
        keep = np.exp(f) if forget == "exp" else sigmoid(f)
        cell = keep * c[:, own] + np.exp(i) * np.tanh(z)
        total = keep * n[:, own] + np.exp(i)
        scale = larger(np.log(keep) + m[:, own], i)
        new.append((sigmoid(o) * cell / total, cell, total, scale))
    h, c, n, m = (np.concatenate(part, axis=-1) for part in zip(*new, strict=True))
    return h, [h, c * np.exp(-m), n * np.exp(-m), m]


def mlstm(
    xs: Arrays,
    state: Arrays,
    w: Named,
    heads: int = 4,
    forget: str = "sigmoid",
    norm: bool = True,
) -> tuple[np.ndarray, Arrays]:
    memory, n, m = state
    x, size = xs[-1], memory.shape[-1]
    q, k, v, o = (np.split(part, heads, axis=-1) for part in affine(x, w, 4))
    gates = x @ w["gate_kernel"] + w["gate_bias"]
    hidden, new = [], []
    for j in range(heads):
        i, f = gates[:, j], gates[:, heads + j]
        keep = np.exp(f) if forget == "exp" else sigmoid(f)
        true = np.exp(m[:, j])
        key = k[j] / np.sqrt(size)
        cell = (keep * true)[:, None, None] * memory[:, j]
        cell = cell + np.exp(i)[:, None, None] * key[:, :, None] * v[j][:, None, :]
        total = (keep * true)[:, None] * n[:, j] + np.exp(i)[:, None] * key
        product = (total * q[j]).sum(-1)
        size_of = np.where(product.real >= 0, product, -product)
        read = (q[j][:, :, None] * cell).sum(1) / larger(size_of, 0 * product + 1)[
            :, None
        ]
        if norm:
            mean = read.sum(-1, keepdims=True) / size
            variance = ((read - mean) ** 2).sum(-1, keepdims=True) / size
            gain = w["gain"][j * size : (j + 1) * size]
            read = gain * (read - mean) / np.sqrt(variance + 1e-5)
        hidden.append(sigmoid(o[j]) * read)
        scale = larger(np.log(keep) + m[:, j], i)
        small = np.exp(-scale)
        new.append((cell * small[:, None, None], total * small[:, None], scale))
    after = [np.stack(part, axis=1) for part in zip(*new, strict=True)]
    return np.concatenate(hidden, axis=-1), after


def gelu(a: np.ndarray) -> np.ndarray:
    return a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3))) / 2


def rg_lru(
    xs: Arrays, state: Arrays, w: Named, convolution: int = 4
) -> tuple[np.ndarray, Arrays]:
    (h,), x = state, xs[-1]
    seen = w["convolution_bias"]
    for lag in range(min(convolution, len(xs))):
        seen = seen + w["convolution_kernel"][-1 - lag] * (
            xs[-1 - lag] @ w["input_kernel"]
        )
    r, i = np.split(seen @ w["gate_kernel"] + w["gate_bias"], 2, axis=-1)
    a = sigmoid(w["decay"]) ** (8 * sigmoid(r))
    h = a * h + np.sqrt(1 - a**2) * (sigmoid(i) * seen)
    branch = gelu(x @ w["branch_kernel"] + w["branch_bias"])
    return (branch * h) @ w["output_kernel"], [h]


def lru(xs: Arrays, state: Arrays, w: Named, **_: Any) -> tuple[np.ndarray, Arrays]:
    (s,), x = state, xs[-1]
    size = np.exp(-np.exp(w["decay"]))
    angle = np.exp(w["frequency"])
    real, imaginary = np.split(s, 2, axis=-1)
    b_real, b_imaginary = np.split(x @ w["input_kernel"], 2, axis=-1)
    new_real = size * (np.cos(angle) * real - np.sin(angle) * imaginary)
    new_imaginary = size * (np.sin(angle) * real + np.cos(angle) * imaginary)
    new_real = new_real + w["scale"] * b_real
    new_imaginary = new_imaginary + w["scale"] * b_imaginary
    modes = size.shape[0]
    y = (
        new_real @ w["output_kernel"][:modes]
        + new_imaginary @ w["output_kernel"][modes:]
    )
    y = gelu(y + x @ w["skip_kernel"])
    h = y * sigmoid(y @ w["gate_kernel"] + w["gate_bias"])
    return h, [np.concatenate([new_real, new_imaginary], axis=-1)]


def run(
    cell: CellFunction,
    x: np.ndarray,
    state: Sequence[np.ndarray],
    weights: Named,
    window: int,
    **options: Any,
) -> Arrays:
    """Outputs (B, T, units) and the last state, earlier inputs among it if any."""
    own = list(state)
    earlier: Arrays = []
    if window:
        *own, before = own
        earlier = [before[:, t] for t in range(window)]
    outputs = []
    for t in range(x.shape[1]):
        inputs = [*earlier, *(x[:, s] for s in range(t + 1))]
        output, own = cell(inputs, own, weights, **options)
        outputs.append(output)
    result = [np.stack(outputs, axis=1), *own]
    if window:
        every = np.stack([*earlier, *(x[:, s] for s in range(x.shape[1]))], axis=1)
        result.append(every[:, -window:])
    return result
