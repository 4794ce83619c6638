"""mLSTM of xLSTM: a matrix for a memory, written and read by keys and queries."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.cells.base import (
    Array,
    ChunkedCell,
    State,
    Weight,
    Weights,
    check_choice,
    check_count,
)
from keras_rnnlm.layers.cells.layer_norm_lstm import normalised
from keras_rnnlm.layers.cells.slstm import head_size, log_forget
from keras_rnnlm.layers.cells.weights import blocks, dropped, matrix, vector
from keras_rnnlm.layers.kernels.products import product
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class MLSTM(ChunkedCell):
    """mLSTM of Beck et al. (2024), "xLSTM: Extended Long Short-Term Memory".

    For each head, with d units,

        q = W_q x_t + b_q,  k = (W_k x_t + b_k) / sqrt(d),  v = W_v x_t + b_v
        C_t = F_t C_(t-1) + I_t v k'
        n_t = F_t n_(t-1) + I_t k
        h_t = sigmoid(W_o x_t + b_o) * C_t q / max(|n_t' q|, 1)

    with I = exp(w_i x_t + b_i) and F = sigmoid(w_f x_t + b_f) or exp of it, one number
    a head. C and n are kept divided by exp(m_t), m_t = max(log F + m_(t-1), log I).

    With `norm` C_t q / max(...) has each head's mean taken away, is divided by its
    deviation and multiplied by a gain before the output gate, as the paper's block does
    behind the cell. Without it outputs begin near zero, and little is learned of them.

    Several steps are computed at once as attention within them, with the state before
    them beside it: the paper's parallel form, begun from any state.

    Args:
        heads: number of heads; they divide `units`.
        forget: "sigmoid" or "exp".
        norm: whether each head's output is normalised.
    """

    heads: int = 4
    forget: str = "sigmoid"
    norm: bool = True

    state_names = ("C", "n", "m")

    def __post_init__(self) -> None:
        """Check the settings."""
        check_count("mlstm", "heads", self.heads)
        check_choice("mlstm", "forget", self.forget, ("sigmoid", "exp"))
        check_choice("mlstm", "norm", self.norm, (True, False))

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Parts in the order q, k, v, o; gates in the order i, f, a number a head."""
        if head_size("mlstm", units, self.heads) == 1 and self.norm:
            raise ConfigError(
                "The cell mlstm expected heads of at least two units for its norm, "
                f"received heads={self.heads} and units={units}. Take fewer heads, or "
                "norm=false."
            )
        return {
            "kernel": dropped(matrix(inputs, units, gates=4)),
            "gate_kernel": matrix(inputs, self.heads, gates=2),
            "bias": vector(4 * units),
            # Forgetting little at first, as the paper's authors begin.
            "gate_bias": vector(2 * self.heads, blocks(0.0, 3.0)),
            **({"gain": vector(units, 1.0)} if self.norm else {}),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """C, n and m, by head."""
        size = head_size("mlstm", units, self.heads)
        return (self.heads, size, size), (self.heads, size), (self.heads,)

    def project(self, x: Array, w: Weights) -> Array:
        """The parts q, k, v, o, i and f side by side."""
        parts = product(x, w.kernel) + w.bias
        gates = product(x, w.gate_kernel) + w.gate_bias
        return ops.concatenate([parts, gates], axis=-1)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        memory, n, m = state
        q, k, v, i, f = self._parts(x)
        gate("forget", ops.exp(f), holds=True)
        keep = f + m
        m = ops.maximum(keep, i)
        write = gate("input", ops.exp(i - m))[..., None]
        keep = ops.exp(keep - m)[..., None]
        # C has the rows of k and the columns of v: (B, heads, d, d).
        memory = keep[..., None] * memory + (write * k)[..., None] * v[..., None, :]
        n = keep * n + write * k
        read = ops.einsum("bhk,bhkv->bhv", q, memory)
        scale = ops.maximum(ops.abs(ops.sum(n * q, axis=-1)), one_divided_by(m))
        h = read / scale[..., None]
        return ops.reshape(h, (-1, h.shape[-1] * self.heads)), (memory, n, m)

    def chunk(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """Some steps at once; see `ChunkedCell`."""
        memory, n, m = state
        q, k, v, i, f = self._parts(x)  # (L, B, heads, d) and (L, B, heads)
        steps = x.shape[0]
        # What step t has of step s <= t, in logarithms: (t, s, B, heads). The sums of
        # log F are taken for each s by itself: differences of sums from the beginning
        # would lose the digits of small ones.
        after = ops.tril(ops.ones((steps, steps), "bool"), -1)[..., None, None]
        decay = ops.cumsum(ops.where(after, f[:, None], 0.0), axis=0)
        begun = ops.tril(ops.ones((steps, steps), "bool"))[..., None, None]
        log = ops.where(begun, decay + i[None], -1e30)
        from_state = ops.cumsum(f, axis=0) + m
        m = ops.maximum(from_state, ops.max(log, axis=1))
        from_state = ops.exp(from_state - m)[..., None]
        weight = ops.exp(log - m[:, None])
        weight = weight * ops.einsum("tbhd,sbhd->tsbh", q, k)
        read = ops.einsum("tsbh,sbhv->tbhv", weight, v)
        read = read + from_state * ops.einsum("tbhk,bhkv->tbhv", q, memory)
        total = from_state[..., 0] * ops.einsum("tbhk,bhk->tbh", q, n)
        total = total + ops.sum(weight, axis=1)
        scale = ops.maximum(ops.abs(total), one_divided_by(m))
        h = read / scale[..., None]
        # The state after the last step.
        late = ops.exp(decay[-1] + i - m[-1])[..., None]
        last = from_state[-1]
        memory = last[..., None] * memory + ops.einsum("sbhk,sbhv->bhkv", late * k, v)
        n = last * n + ops.sum(late * k, axis=0)
        return ops.reshape(h, (steps, -1, h.shape[-1] * self.heads)), (memory, n, m[-1])

    def read(self, hidden: Array, x: Array, w: Weights) -> Array:
        """The norm and the output gate."""
        units = hidden.shape[-1]
        if self.norm:
            lead = ops.shape(hidden)[:-1]
            heads = ops.reshape(hidden, (*lead, self.heads, units // self.heads))
            hidden = w.gain * ops.reshape(normalised(heads), ops.shape(hidden))
        return gate("output", ops.sigmoid(x[..., 3 * units : 4 * units])) * hidden

    def _parts(self, x: Array) -> tuple[Array, ...]:
        """The parts q, k, v (..., heads, d), log I and log F (..., heads)."""
        units = (x.shape[-1] - 2 * self.heads) // 4
        size = units // self.heads
        lead = ops.shape(x)[:-1]
        q, k, v = (
            ops.reshape(x[..., j * units : (j + 1) * units], (*lead, self.heads, size))
            for j in range(3)
        )
        gates = x[..., 4 * units :]
        i, f = gates[..., : self.heads], gates[..., self.heads :]
        return q, k * size**-0.5, v, i, log_forget(self.forget, f)


def one_divided_by(m: Array) -> Array:
    """Return what 1 is when divided by exp(m), within what a float can be divided by.

    Beyond e^60 what is divided vanishes in any case; below e^-40 it would be by zero.
    """
    return ops.exp(ops.clip(-m, -40.0, 60.0))
