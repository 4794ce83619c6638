"""What goes on inside of a network, told to whoever listens.

A cell computes its gates and forgets them; attention does so with its weights. Code
that explains a model wants to see them, and an equation is not to be written twice for
that. So what is worth seeing is named where it is computed:

    forget = gate("forget", ops.sigmoid(f), holds=True)

`gate` and `tell` return their value. Nothing else happens, unless the computation runs
inside of `listening`, which collects what is told. Values are whatever the backend
computes with: a compiled function listens inside and returns what it heard, which has
to be computed in the function itself and not in a loop within it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

Array = Any

GATE = "gate"


class Told(NamedTuple):
    """Something that was computed.

    Attributes:
        kind: "gate", "attention", "layer input" or "layer output".
        name: of a gate.
        value: the array.
        holds: see `gate`.
    """

    kind: str
    name: str
    value: Array
    holds: bool | None


_heard: ContextVar[tuple[frozenset[str], list[Told]] | None]
_heard = ContextVar("heard", default=None)


def gate(name: str, value: Array, holds: bool | None = None) -> Array:
    """Return the value of a gate, having told its name.

    Args:
        name: as in the cell's paper: "forget", "input".
        value: (..., H), or what can be broadcast to it.
        holds: whether the gate says what becomes of the old state: True if its value is
            the share that stays, False if it is the share that goes, None if it is not
            about the old state.
    """
    return tell(GATE, value, name, holds)


def tell(kind: str, value: Array, name: str = "", holds: bool | None = None) -> Array:
    """Return `value`, having told it to whoever listens for its kind."""
    heard = _heard.get()
    if heard is not None and kind in heard[0]:
        heard[1].append(Told(kind, name, value, holds))
    return value


@contextmanager
def listening(*kinds: str) -> Iterator[list[Told]]:
    """Collect what is told inside of the block, in order; other kinds are not kept."""
    told: list[Told] = []
    token = _heard.set((frozenset(kinds), told))
    try:
        yield told
    finally:
        _heard.reset(token)
