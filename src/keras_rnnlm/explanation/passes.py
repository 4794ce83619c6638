"""How a network is run over a text to be explained, in pieces of constant shape."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.explanation.reading import Reading
from keras_rnnlm.layers.observed import listening
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.scoring.checks import check_nats

CHUNK = 128
ALTERNATIVES = 5

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]
Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Pass:
    """What a network says of N predictions, reading them as one stream.

    Attributes:
        log_probabilities: (N,) of what came, natural logarithms.
        entropies: (N,) of the predicted distribution, in nats.
        ranks: (N,) the place of what came among all tokens, the likeliest being 1.
        likeliest: int (N, k) ids of the likeliest tokens, in order.
        likeliest_logs: (N, k) their natural-log probabilities.
        hidden: float32 (N, D) what the output layer was given.
        units: of each layer its outputs, float32 (N, width).
    """

    log_probabilities: Floats
    entropies: Floats
    ranks: NDArray[np.int64]
    likeliest: NDArray[np.int64]
    likeliest_logs: Floats
    hidden: NDArray[np.float32]
    units: tuple[NDArray[np.float32], ...]


def run(network: CausalLM, reading: Reading, told: Told | None = None) -> Pass:
    """Read a text from a zero state.

    Args:
        network: In float32.
        reading: The text.
        told: Called with the numbers of predictions done and of all.

    Raises:
        InputError: If a probability is not a number.
    """
    chunk = compiled_once(network, _chunk)
    state, total = network.initial_state(1), reading.predictions
    parts: list[dict[str, Any]] = []
    for begin in range(0, total, CHUNK):
        inputs, targets = np.zeros((2, 1, CHUNK), np.int32)
        count = min(CHUNK, total - begin)
        inputs[0, :count] = reading.ids[begin : begin + count]
        targets[0, :count] = reading.ids[begin + 1 : begin + count + 1]
        found, state = chunk(inputs, targets, state)
        parts.append(
            keras.tree.map_structure(
                lambda array, n=count: ops.convert_to_numpy(array)[0, :n], found
            )
        )
        if told is not None:
            told(begin + count, total)
    joined = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
    logs = joined["logs"].astype(np.float64)
    check_nats(logs)
    return Pass(
        logs,
        joined["entropies"].astype(np.float64),
        joined["ranks"].astype(np.int64),
        joined["likeliest"].astype(np.int64),
        joined["likeliest_logs"].astype(np.float64),
        joined["hidden"],
        tuple(joined["units"]),
    )


def _chunk(network: CausalLM, inputs: Any, targets: Any, state: Any) -> Any:
    """Read a chunk; this runs inside of the compiled function."""
    vectors = network.embedding(inputs)
    with listening("layer output") as told:
        hidden, state = network.hidden_of(vectors, state)
    logs = network.log_probabilities(hidden)
    came = ops.take_along_axis(logs, targets[..., None], axis=-1)
    k = min(ALTERNATIVES, network.vocabulary_size)
    likeliest_logs, likeliest = ops.top_k(logs, k)
    # A probability that no float32 holds adds nothing.
    terms = ops.where(logs > -80.0, ops.exp(logs) * logs, 0.0)
    found = {
        "logs": came[..., 0],
        "entropies": -ops.sum(terms, axis=-1),
        "ranks": 1 + ops.sum(ops.cast(logs > came, "int32"), axis=-1),
        "likeliest": likeliest,
        "likeliest_logs": likeliest_logs,
        "hidden": hidden,
        "units": tuple(each.value for each in told),
    }
    return found, state


def states_before(
    network: CausalLM, ids: Ids, positions: NDArray[np.int64], rows: int
) -> Iterator[tuple[NDArray[np.int64], Any]]:
    """Yield the state before each of some inputs of a stream, some rows at a time.

    Args:
        network: In float32.
        ids: (N + 1,) the stream.
        positions: Of inputs, in ascending order; a position may come repeatedly.
        rows: States in a batch.

    Yields:
        The places in `positions` that a batch is about, and a state of `rows` rows. The
        last batch is filled up with repetitions of its last row.
    """
    step = compiled_once(network, _advance)
    state, at = network.initial_state(1), 0
    for begin in range(0, len(positions), rows):
        places = np.arange(begin, min(begin + rows, len(positions)))
        states = []
        for position in positions[places].tolist():
            while at < position:
                state = step(ids[None, at : at + 1], state)
                at += 1
            states.append(state)
        states += [states[-1]] * (rows - len(states))
        yield (
            places,
            keras.tree.map_structure(lambda *s: ops.concatenate(s, axis=0), *states),
        )


def _advance(network: CausalLM, inputs: Any, state: Any) -> Any:
    return network.hidden_of(network.embedding(inputs), state)[1]


def last_nats(network: CausalLM, inputs: Ids, targets: Ids) -> Floats:
    """Return the nats of the token behind each row, read from a zero state.

    Args:
        network: In float32.
        inputs: (B, T).
        targets: (B,).
    """
    nats = compiled_once(network, _last_nats)(inputs, targets)
    found: Floats = ops.convert_to_numpy(nats).astype(np.float64)
    return found


def _last_nats(network: CausalLM, inputs: Any, targets: Any) -> Any:
    zero = network.initial_state(inputs.shape[0])
    hidden, _ = network.hidden_of(network.embedding(inputs), zero)
    return network.cross_entropy(hidden[:, -1:], targets[:, None]).nats[:, 0]
