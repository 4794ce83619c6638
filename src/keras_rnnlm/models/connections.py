"""How the recurrent layers of a stack are connected, and how wide that makes it."""

from typing import Any

from keras import ops

from keras_rnnlm.errors import ConfigError, nearest

KINDS = ("none", "residual", "dense")


def checked(kind: str) -> str:
    """Return `kind`; raises `ConfigError` if there is no such connection."""
    if kind not in KINDS:
        raise ConfigError(
            f"Expected connections to be one of {', '.join(KINDS)}; received '{kind}'."
            f"{nearest(kind, KINDS)}"
        )
    return kind


def connect(kind: str, before: Any, branch: Any) -> Any:
    """Join what a layer was given with what it made of it.

    Args:
        kind: `residual`: the sum, for a layer as wide as its input (He et al. 2016; for
            stacked LSTMs Prakash et al. 2016). `dense`: both side by side, so that each
            layer and the output see all layers below and the word itself (Godin et al.
            2017). `none`: the new alone.
        before: (batch, time, width).
        branch: (batch, time, units).
    """
    if kind == "dense":
        return ops.concatenate([before, branch], axis=-1)
    if kind == "residual" and before.shape[-1] == branch.shape[-1]:
        return before + branch
    return branch


def input_widths(kind: str, embedding: int, units: int, layers: int) -> list[int]:
    """Return the width of each layer's input, and last that of the stack's output."""
    if kind == "dense":
        return [embedding + i * units for i in range(layers + 1)]
    return [embedding, *[units] * layers]
