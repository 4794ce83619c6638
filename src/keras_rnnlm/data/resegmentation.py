"""A text segmented into pieces anew in each pass: sub-word regularization.

What is drawn for a pass is computed from (seed, epoch) alone. Of each different word
as many segmentations are drawn as it occurs, 1,000 at most, and each occurrence takes
one of them at random. The pass after the one in use is drawn meanwhile by a thread of
its own.

In memory are the ids of three passes (2 bytes a token in each, 4 above 65,536 pieces),
4 bytes a word of the text, and the different words.
"""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.bpe_dropout import BPEDropout
from keras_rnnlm.data.piece_tokenizer import PieceTokenizer
from keras_rnnlm.data.ragged import Ragged
from keras_rnnlm.data.segments import Positions
from keras_rnnlm.data.text_words import TextWords
from keras_rnnlm.data.unigram_sampling import UnigramSampling

MOST_DRAWS = 1000
"""Segmentations that are drawn of a word in a pass, if it occurs as often."""
_BLOCK = 1 << 20  # words that are put together at a time


class Sampler(Protocol):
    """What draws segmentations of words; see `BPEDropout` and `UnigramSampling`."""

    def draw(
        self, words: Ragged, numbers: Positions, random: np.random.Generator
    ) -> Ragged:
        """Draw `numbers` segmentations of each word, those of the first word first."""


@dataclass(frozen=True, eq=False)
class SegmentedText:
    """A text in one segmentation: what batches need of it; see `segments.Text`."""

    ids: NDArray[np.unsignedinteger]
    starts: Positions
    stops: Positions
    line_end_id: int | None


class Resegmentation:
    """The passes over a text.

    Args:
        words: the text.
        sampler: draws segmentations.
        seed: of the draws.
    """

    def __init__(self, words: TextWords, sampler: Sampler, seed: int) -> None:
        """Count the words."""
        self._words, self._sampler, self._seed = words, sampler, seed
        counts = np.bincount(words.words, minlength=len(words.spellings))
        self._numbers = np.minimum(counts, MOST_DRAWS)
        self._ahead: dict[int, Future[SegmentedText]] = {}
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, "resegmentation")

    @cached_property
    def typical(self) -> SegmentedText:
        """A pass drawn with a seed of its own, the same for every run."""
        return self._drawn(np.random.default_rng(0))

    def text(self, epoch: int) -> SegmentedText:
        """Return a pass, and begin to draw the one after it."""
        with self._lock:
            for number in (epoch, epoch + 1):
                if number not in self._ahead:
                    random = np.random.default_rng((self._seed, number, 4))
                    self._ahead[number] = self._thread.submit(self._drawn, random)
            for number in self._ahead.keys() - {epoch, epoch + 1}:
                del self._ahead[number]
            found = self._ahead[epoch]
        return found.result()

    def with_seed(self, seed: int) -> "Resegmentation":
        """Return other passes over the same text."""
        other = Resegmentation(self._words, self._sampler, seed)
        other.typical = self.typical
        return other

    def _drawn(self, random: np.random.Generator) -> SegmentedText:
        words, numbers = self._words, self._numbers
        drawn = self._sampler.draw(words.spellings, numbers, random)
        drawn = Ragged(drawn.values.astype(words.id_type), drawn.starts, drawn.lengths)
        firsts = np.cumsum(numbers) - numbers
        bounds = np.concatenate([words.starts, words.stops])
        places = np.zeros(len(bounds), np.int64)
        parts = [np.zeros(0, words.id_type)]
        done = 0
        for begin in range(0, len(words.words), _BLOCK):
            some = words.words[begin : begin + _BLOCK]
            chosen = (random.random(len(some)) * numbers[some]).astype(np.int64)
            put = drawn.take(firsts[some] + chosen)
            ends = done + np.concatenate([[0], np.cumsum(put.lengths)])
            here = (begin <= bounds) & (bounds <= begin + len(some))
            places[here] = ends[bounds[here] - begin]
            parts.append(put.values)
            done += len(put.values)
        starts, stops = np.split(places, 2)
        return SegmentedText(np.concatenate(parts), starts, stops, words.line_end_id)


def bpe_dropout(tokenizer: PieceTokenizer, rate: float) -> BPEDropout:
    """Return what draws the segmentations of a byte-pair tokenizer.

    Args:
        tokenizer: of kind "bpe".
        rate: share of merges left out in each step, p; from 0 to 1.
    """
    model = json.loads(tokenizer.to_json())["model"]
    number = model["vocab"]
    merges = [
        # Older versions of the library write both parts in one string.
        tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge)
        for merge in model["merges"]
    ]
    pairs = [(number[left], number[right]) for left, right in merges]
    return BPEDropout(tokenizer.pieces, pairs, rate)


def unigram_sampling(tokenizer: PieceTokenizer, alpha: float) -> UnigramSampling:
    """Return what draws the segmentations of a unigram tokenizer.

    Args:
        tokenizer: of kind "unigram".
        alpha: power of the probabilities of segmentations, 0 or more.
    """
    model = json.loads(tokenizer.to_json())["model"]
    scores = [score for _, score in model["vocab"]]
    return UnigramSampling(tokenizer.pieces, scores, alpha)
