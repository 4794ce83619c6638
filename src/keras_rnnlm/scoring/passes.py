"""One pass over a text as carried streams: what the additions to a model stand on.

A *pass* reads every file as one stream, from a zero state, segment after segment. What
it does with a segment is up to its `Reader`: the network as it stands (`StaticReader`),
or one that goes on learning (`dynamic.DynamicReader`). Out come the nats of every
prediction at some temperatures, and the log-probabilities of some continuous caches
that were fed with the pass's hidden vectors on the way.

All results are in the order of `segments(text, Protocol("carry"))`: those of the
predictions that `scorer.score_segments` scores.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.scoring.cache import CacheBank, CacheSettings
from keras_rnnlm.scoring.checks import check_ids, check_nats
from keras_rnnlm.scoring.layout import LOGITS_BYTES, STEPS
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.scorer import Progress
from keras_rnnlm.scoring.temperature import checked_temperatures, tempered_nats

Ids = NDArray[np.int32]
Floats = NDArray[np.float64]

# Predictions between two looks at the results: enough that a compiled step is seldom
# waited for, few enough to keep the hidden vectors of a block small.
BLOCK = 512


class Reader(ABC):
    """Reads one stream after another, a segment of up to `steps` tokens at a time.

    Attributes:
        temperatures: At which it gives nats.
        block: Predictions between two looks at the results; a whole number of segments,
            so that none but the last of a stream is padded.
    """

    temperatures: tuple[float, ...]
    block: int = BLOCK

    @abstractmethod
    def begin(self) -> None:
        """Begin a stream: zero state, the network's own weights."""

    @abstractmethod
    def steps(self, left: int) -> int:
        """Return how many tokens the next segment has room for.

        Args:
            left: Predictions left of the stream.
        """

    @abstractmethod
    def read(self, inputs: Ids, targets: Ids, counted: int) -> tuple[Any, Any]:
        """Score the next segment.

        Args:
            inputs: (1, steps) ids.
            targets: (1, steps) ids.
            counted: How many of them there are; the rest is padding, which only the
                last segment of a stream has.

        Returns:
            Nats (temperatures, steps) and hidden vectors (steps, D).
        """

    def check(self, nats: Floats) -> None:
        """Refuse nats that are not numbers.

        Raises:
            InputError: If there are any.
        """
        check_nats(nats)

    def end(self) -> None:
        """Put back whatever was changed; called whatever happens."""
        return


class StaticReader(Reader):
    """The network as it was trained."""

    def __init__(
        self, network: keras.Model, temperatures: Sequence[float] = (1.0,)
    ) -> None:
        """Take an `RNNLM` in float32 and the temperatures to score at.

        Raises:
            InputError: For packed weights, whose hidden vectors stay inside C++.
        """
        if isinstance(network, PackedNetwork):
            raise InputError(
                "Expected a model with its own weights, received one with packed "
                f"{network.weights} weights, which has the plain figures alone. Leave "
                "out --weights, or what is added at evaluation time."
            )
        self.temperatures = checked_temperatures(temperatures)
        self._network = network
        self._plain = self.temperatures == (1.0,)
        self._chunk = compiled_once(
            network, _plain_chunk if self._plain else _tempered_chunk
        )
        most = LOGITS_BYTES // (4 * network.vocabulary_size)
        self._steps = [s for s in STEPS if s <= most] or [STEPS[0]]
        self._state: Any = None

    def begin(self) -> None:
        """See `Reader`."""
        self._state = self._network.initial_state(1)

    def steps(self, left: int) -> int:
        """See `Reader`."""
        return next((s for s in self._steps if s >= left), self._steps[-1])

    def read(self, inputs: Ids, targets: Ids, counted: int) -> tuple[Any, Any]:
        """See `Reader`."""
        given = () if self._plain else (np.asarray(self.temperatures, np.float32),)
        nats, hidden, self._state = self._chunk(inputs, targets, *given, self._state)
        return nats, hidden


@dataclass(frozen=True, eq=False)
class PassScores:
    """What a pass found of N predictions.

    Attributes:
        nats: float64 (temperatures, N).
        caches: float64 (caches, N), natural-log probabilities.
        seconds: Wall-clock time of the network, compilation included.
        cache_seconds: Wall-clock time of the caches.
    """

    nats: Floats
    caches: Floats
    seconds: float
    cache_seconds: float

    def first(self, most: int) -> "PassScores":
        """Return what was found of the first predictions."""
        return replace(self, nats=self.nats[:, :most], caches=self.caches[:, :most])


def run_pass(
    reader: Reader,
    network: keras.Model,
    text: EncodedText,
    caches: Sequence[CacheSettings] = (),
    progress: Progress | None = None,
    most: int | None = None,
) -> PassScores:
    """Read a text, every file from its beginning.

    Args:
        reader: What reads it.
        network: The reader's network.
        text: The text.
        caches: The caches to feed.
        progress: Called with the numbers of predictions done and of all.
        most: Stop after this many predictions.

    Raises:
        InputError: If a probability is not a number, or an id is not in the
            vocabulary.
    """
    starts, stops = segments(text, Protocol("carry"))
    if most is not None:
        starts, stops = first_predictions(starts, stops, most)
    total = int((stops - starts).sum())
    nats = np.empty((len(reader.temperatures), total), np.float64)
    found = np.empty((len(caches), total), np.float64)
    bank = CacheBank(network, caches, reader.block)
    done, seconds, cache_seconds = 0, 0.0, 0.0
    try:
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            reader.begin()
            bank.begin()
            for begin, end in _blocks(start, stop, reader.block):
                begun = time.perf_counter()
                block, hidden = _read_block(reader, network, text, begin, end)
                read = time.perf_counter()
                here = slice(done, done + end - begin)
                reader.check(block)
                nats[:, here] = block
                if caches:
                    targets = np.asarray(text.ids[begin:end], np.int32)
                    found[:, here] = bank.read(hidden, targets)
                seconds += read - begun
                cache_seconds += time.perf_counter() - read
                done += end - begin
                if progress is not None:
                    progress(done, total)
    finally:
        reader.end()
    return PassScores(nats, found, seconds, cache_seconds)


def first_predictions(
    starts: NDArray[np.int64], stops: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut segments off after the first `most` predictions of all of them."""
    before = np.cumsum(stops - starts) - (stops - starts)
    stops = np.minimum(stops, starts + np.maximum(most - before, 0))
    kept = stops > starts
    return starts[kept], stops[kept]


def _blocks(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(start, stop, size):
        yield begin, min(begin + size, stop)


def _read_block(
    reader: Reader, network: keras.Model, text: EncodedText, begin: int, end: int
) -> tuple[Floats, NDArray[np.float32]]:
    """Read the targets from `begin` to `end`; return nats and hidden vectors."""
    parts = []
    while begin < end:
        steps = reader.steps(end - begin)
        counted = min(steps, end - begin)
        ids = np.asarray(text.ids[begin - 1 : begin + counted], np.int32)
        check_ids(network.vocabulary_size, ids)
        inputs, targets = np.zeros((2, 1, steps), np.int32)
        inputs[0, :counted], targets[0, :counted] = ids[:-1], ids[1:]
        parts.append((*reader.read(inputs, targets, counted), counted))
        begin += counted
    nats = [ops.convert_to_numpy(n)[:, :counted] for n, _, counted in parts]
    hidden = [ops.convert_to_numpy(h)[:counted] for _, h, counted in parts]
    return np.concatenate(nats, axis=1, dtype=np.float64), np.concatenate(hidden)


def _plain_chunk(
    network: keras.Model, inputs: Any, targets: Any, state: Any
) -> tuple[Any, Any, Any]:
    """Score a segment; this runs inside the compiled function."""
    hidden, state = network.hidden(inputs, state)
    # The way without all logits in memory.
    nats = network.cross_entropy(hidden, targets).nats
    return nats, hidden[0], state


def _tempered_chunk(
    network: keras.Model, inputs: Any, targets: Any, temperatures: Any, state: Any
) -> tuple[Any, Any, Any]:
    """The same at several temperatures."""
    hidden, state = network.hidden(inputs, state)
    nats = tempered_nats(network, hidden, targets, temperatures)
    return nats[:, 0], hidden[0], state
