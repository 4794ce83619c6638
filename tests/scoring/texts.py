"""Encoded texts and networks for the tests of scoring."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_rnnlm.data.encoded_text import EncodedText, TextCounts
from keras_rnnlm.models.compiled import compiled
from keras_rnnlm.models.rnn_lm import RNNLM


def encoded(
    files: Sequence[ArrayLike],
    line_end: int | None,
    start: bool = True,
    oov: Sequence[int] = (),
) -> EncodedText:
    """An encoded text of files of ids; `start` puts the line end before all."""
    arrays = [np.asarray(file, np.uint16) for file in files]
    lengths = np.array([len(array) for array in arrays], np.int64)
    if start:
        arrays.insert(0, np.array([line_end], np.uint16))
    stops = np.cumsum(lengths) + int(start)
    starts = stops - lengths + int(not start)
    ids = np.concatenate(arrays) if arrays else np.empty(0, np.uint16)
    lines = int(np.count_nonzero(ids[int(start) :] == line_end))
    return EncodedText(
        ids=ids,
        starts=starts,
        stops=stops,
        oov_positions=np.asarray(oov, np.int64),
        line_end_id=line_end,
        start_id=line_end if start else None,
        counts=TextCounts(
            raw_bytes=5 * len(ids),
            characters=4 * len(ids),
            words=int(lengths.sum()) - lines,
            lines=lines,
            oov=len(oov),
            tokens_predicted=int((stops - starts).sum()),
        ),
        spaced=True,
        names=[f"file{i}" for i in range(len(files))],
        sha256="0" * 64,
    )


def small_network(
    vocabulary_size: int = 23, cell: str = "lstm", layers: int = 1, seed: int = 1
) -> RNNLM:
    """A network whose probabilities are far from even, so that mistakes show."""
    network = RNNLM(
        vocabulary_size=vocabulary_size,
        cell=cell,
        units=8,
        layers=layers,
        embedding=6,
        dropout=0.5,
        seed=seed,
    )
    # Not the recurrent matrices: made larger, they would amplify rounding.
    embeddings, bias = network.embedding.embeddings, network.output_layer.bias
    embeddings.assign(embeddings.value * 30)
    bias.assign(np.random.default_rng(seed).normal(size=vocabulary_size))
    return network


@cache
def shared_network(vocabulary_size: int = 23) -> RNNLM:
    """One network for all tests that change none of its weights."""
    return small_network(vocabulary_size)


@lru_cache(maxsize=1)
def compiled_step(network: RNNLM) -> Callable[..., Any]:
    """`network.step`, compiled: the same function in less time."""
    return compiled(network, network.step)


def step_by_step(
    network: RNNLM, ids: NDArray[np.integer], start: int, stop: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Nats of the targets of a segment and whether they were likeliest, one by one."""
    step = compiled_step(network)
    state = network.initial_state(1)
    nats, correct = [], []
    for position in range(start, stop):
        token = np.asarray(ids[position - 1 : position], np.int32)
        log_probs, state = step(token, state)
        row = keras.ops.convert_to_numpy(log_probs)[0]
        nats.append(-float(row[ids[position]]))
        correct.append(int(row.argmax()) == int(ids[position]))
    return np.array(nats, np.float64), np.array(correct, np.bool_)
