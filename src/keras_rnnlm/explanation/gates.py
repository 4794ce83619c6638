"""What the gates and the state of recurrent layers do while a text is read."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.explanation.reading import Reading
from keras_rnnlm.explanation.surprisal import rounded
from keras_rnnlm.layers.observed import listening
from keras_rnnlm.layers.watch import watch
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.models.rnn_lm import RNNLM

UNITS = 32
"""Most units of a heat map that JSON and page hold."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerGates:
    """One recurrent layer over T inputs: what it did after reading each.

    Attributes:
        gates: by the name in the cell's equations, (T, width).
        states: by name, (T, width); matrices are flattened.
        held: (T, width) share of the state that stayed, as the cell's gate says; None
            for a cell that does not say.
        held_by: the name of that gate.
    """

    gates: dict[str, Floats]
    states: dict[str, Floats]
    held: Floats | None
    held_by: str | None

    @property
    def half_lives(self) -> NDArray[np.float64] | None:
        """(width,) steps after which half of a unit's state is left.

        With the geometric mean of the shares that stayed; infinite where all stays.
        """
        if self.held is None:
            return None
        shares = np.clip(self.held.astype(np.float64), 1e-12, None)
        rates = -np.log(shares).mean(axis=0)
        with np.errstate(divide="ignore"):
            return np.where(rates > 0, math.log(2) / np.maximum(rates, 0), np.inf)

    def to_json(self, units: int = UNITS) -> dict[str, Any]:
        """Return heat maps of some units, and what all of them come to.

        Args:
            units: Most units of a map, evenly spread from those that hold longest to
                those that hold shortest.
        """
        lives = self.half_lives
        return {
            "gates": {n: _map(v, lives, units) for n, v in self.gates.items()},
            "states": {n: _map(v, lives, units) for n, v in self.states.items()},
            "held_by": self.held_by,
            "half_lives": None if lives is None else _quantiles(lives),
        }


def layer_gates(network: RNNLM, reading: Reading) -> tuple[LayerGates, ...]:
    """Run the shown part of a text and return what each recurrent layer did."""
    inputs = reading.ids[None, : reading.shown]
    found = compiled_once(network, _watch_all)(inputs, network.initial_state(1))
    found = keras.tree.map_structure(ops.convert_to_numpy, found)
    return tuple(
        _layer(layer, watched)
        for layer, watched in zip(network.recurrent, found, strict=True)
    )


def _watch_all(network: RNNLM, inputs: Any, state: Any) -> Any:
    with listening("layer input") as told:
        network.hidden_of(network.embedding(inputs), state)
    watched = (
        watch(layer, each.value, past)
        for layer, each, past in zip(
            network.recurrent, told, state[: len(told)], strict=True
        )
    )
    return [(w.held, w.replaced, w.other, w.states) for w in watched]


def _layer(layer: Any, watched: Any) -> LayerGates:
    held, replaced, other, states = watched
    flat = {name: _flat(value) for name, value in {**held, **replaced, **other}.items()}
    names = layer.equation.state_names
    if len(names) != len(states):
        names = tuple(f"state {i + 1}" for i in range(len(states)))
    by = next(iter([*held, *replaced]), None)
    share = None if by is None else flat[by] if by in held else 1 - flat[by]
    return LayerGates(
        gates=flat,
        states={n: _flat(s) for n, s in zip(names, states, strict=True)},
        held=share,
        held_by=by,
    )


def _flat(value: Any) -> Floats:
    """(T, 1, ...) as (T, width)."""
    return np.asarray(value, np.float32).reshape(len(value), -1)


def _map(values: Floats, lives: Any, units: int) -> dict[str, Any]:
    width = values.shape[1]
    order = np.arange(width)
    if lives is not None and len(lives) == width:
        order = np.argsort(-lives, kind="stable")
    order = order[np.unique(np.linspace(0, width - 1, min(units, width)).astype(int))]
    chosen = lives is not None and len(lives) == width
    return {
        "width": width,
        "units": order.tolist(),
        "half_lives": [rounded(lives[u], 2) for u in order] if chosen else None,
        "mean": [rounded(value, 3) for value in values.mean(axis=1)],
        "values": [[rounded(v, 3) for v in values[:, unit]] for unit in order],
    }


def _quantiles(lives: NDArray[np.float64]) -> dict[str, Any]:
    low, middle, high = np.quantile(lives, [0.1, 0.5, 0.9], method="nearest")
    return {
        "tenth": rounded(low, 2),
        "median": rounded(middle, 2),
        "nine_tenths": rounded(high, 2),
        "longest": rounded(lives.max(), 2),
        "over_10": int((lives > 10).sum()),
        "over_100": int((lives > 100).sum()),
        "units": len(lives),
    }
