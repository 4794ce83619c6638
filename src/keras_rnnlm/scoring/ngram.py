"""An n-gram model over token ids: the baseline that a neural model has to beat.

With h a context and h' the context without its first symbol, a probability is looked
up in the form of ARPA files (Katz 1987):

    p(w | h) = the probability of the n-gram h w, if the model has it,
               backoff(h) p(w | h') if not; backoff(h) is 1 for a context it lacks.

`kneser_ney.py` estimates the tables, `arpa.py` reads and writes them.
"""

import os
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.arpa import read_arpa, write_arpa
from keras_rnnlm.scoring.histories import symbols_of
from keras_rnnlm.scoring.kneser_ney import Discounts, estimate
from keras_rnnlm.scoring.ngram_tables import (
    NOWHERE,
    Floats,
    NGramTable,
    Places,
    places_of_endings,
)
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.report import Totals

# Predictions looked up at once: a few arrays of this length are held.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class NGramModel:
    """An n-gram model over the ids of a tokenizer.

    Attributes:
        tables: Unigrams, bigrams and so on. Symbols are the ids and, behind them, the
            start `<s>`, whose number is `vocabulary_size`.
        sentence_end: The id that ends a sentence, before a fresh context; None if the
            context runs on through line ends (see `histories.py`).
        discounts: (D1, D2, D3) of each length; empty for a model from a file.
        fallback: Whether the discounts of each length are those for texts too small or
            too regular to tell; empty for a model from a file.
        left_out: Number of n-grams of a file with words that the tokenizer lacks.
        seconds: Wall-clock time of counting, or of reading the file.
    """

    tables: tuple[NGramTable, ...]
    sentence_end: int | None
    discounts: tuple[Discounts, ...] = ()
    fallback: tuple[bool, ...] = ()
    left_out: int = 0
    seconds: float = 0.0

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return len(self.tables)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, V."""
        return len(self.tables[0]) - 1

    @classmethod
    def fit(
        cls,
        text: EncodedText,
        vocabulary_size: int,
        order: int,
        *,
        contexts: Literal["auto", "sentence", "stream"] = "auto",
    ) -> "NGramModel":
        """Estimate a model by interpolated modified Kneser-Ney smoothing.

        Args:
            text: The training text.
            vocabulary_size: Number of ids, V; all of them get a probability.
            order: Length of the longest n-grams, 1 or more.
            contexts: "sentence" for a fresh context at each line, "stream" for one
                that runs on through line ends. "auto" is "stream" for characters and
                "sentence" for words and sub-words.

        Raises:
            InputError: If the text has no token, no line ends where sentences are asked
                for, or an id outside the vocabulary.
            ValueError: If `order` is below 1, or `contexts` is none of the three.
        """
        begun = time.perf_counter()
        if order < 1:
            raise ValueError(f"Expected an order of 1 or more, received {order}.")
        sentence_end = _sentence_end(text, contexts)
        largest = int(text.ids.max(initial=0))
        if largest >= vocabulary_size:
            raise InputError(
                f"Expected ids below {vocabulary_size}, the size of the vocabulary, "
                f"received {largest}. Encode the text with the tokenizer of this model."
            )
        symbols, _ = symbols_of(text, vocabulary_size, sentence_end)
        found = estimate(symbols, vocabulary_size, order)
        return cls(
            found.tables,
            sentence_end,
            found.discounts,
            found.fallback,
            seconds=time.perf_counter() - begun,
        )

    @classmethod
    def read_arpa(
        cls, path: str | os.PathLike[str], tokenizer: Tokenizer
    ) -> "NGramModel":
        """Read an ARPA file; see `arpa.read_arpa`."""
        begun = time.perf_counter()
        read = read_arpa(path, tokenizer)
        return cls(
            read.tables,
            read.sentence_end,
            left_out=read.left_out,
            seconds=time.perf_counter() - begun,
        )

    def write_arpa(self, path: str | os.PathLike[str], tokenizer: Tokenizer) -> None:
        """Write an ARPA file; see `arpa.write_arpa`."""
        write_arpa(path, self.tables, tokenizer, self.sentence_end)

    def log_probabilities(self, text: EncodedText) -> Floats:
        """Return the natural-log probability of each predicted token of a text.

        Returns:
            float64 (predictions,), in the order of `segments(text, Protocol("carry"))`;
            -inf for a token that a file gave no probability.

        Raises:
            InputError: If an id is outside the vocabulary.
        """
        symbols, predicted = self._symbols(text)
        result = np.empty(len(predicted), np.float64)
        for begin, stop, part in _blocks(symbols, predicted, self.order):
            endings = places_of_endings(self.tables, part)
            where = predicted[begin:stop] - (predicted[stop - 1] + 1 - len(part))
            result[begin:stop] = self._scores(endings, where)
        return result

    def context_features(self, text: EncodedText) -> Floats:
        """Return what the model knows of each context before the token is seen.

        They tell a `gate.Gate` how far to trust the model.

        Returns:
            float64 (predictions, 2), in the order of `log_probabilities`: how many
            symbols of the context the model has seen in a row, the start counted, and
            the natural logarithm of the weight that shorter contexts get after them.

        Raises:
            InputError: If an id is outside the vocabulary.
        """
        symbols, predicted = self._symbols(text)
        result = np.zeros((len(predicted), 2), np.float64)
        for begin, stop, part in _blocks(symbols, predicted, self.order):
            endings = places_of_endings(self.tables[:-1] or self.tables, part)
            before = predicted[begin:stop] - (predicted[stop - 1] + 1 - len(part)) - 1
            for n in range(1, self.order):
                context = endings[n - 1][before]
                found = np.flatnonzero(context != NOWHERE)
                result[begin + found, 0] = n
                backoffs = self.tables[n - 1].log_backoffs[context[found]]
                result[begin + found, 1] = backoffs
        return result

    def totals(self, text: EncodedText) -> Totals:
        """Return nats and counts over the same predictions a neural model is scored on.

        Raises:
            InputError: If the text has nothing to predict, or ids of another
                vocabulary.
        """
        nats = -self.log_probabilities(text)
        return Totals.of(nats, text, *segments(text, Protocol("carry")))

    def next_probabilities(self, context: NDArray[np.integer]) -> Floats:
        """Return the distribution over the vocabulary after a context.

        Args:
            context: (tokens,) ids before the token to predict; `vocabulary_size`
                stands for the start `<s>`. Only the last `order - 1` count.

        Returns:
            float64 (V,).
        """
        base = len(self.tables[0])
        symbols = np.asarray(context, np.int64)[max(0, len(context) - self.order + 1) :]
        result = np.exp(self.tables[0].log_probabilities)
        endings = places_of_endings(self.tables, symbols)
        for length in range(1, len(symbols) + 1):
            place = int(endings[length - 1][-1])
            if place == NOWHERE:  # a pruned file may lack it and have longer ones
                continue
            result *= np.exp(self.tables[length - 1].log_backoffs[place])
            table = self.tables[length]
            seen = table.followers(place, base)
            result[table.keys[seen] % base] = np.exp(table.log_probabilities[seen])
        return result[:-1]

    def _symbols(self, text: EncodedText) -> tuple[NDArray[np.int32], Places]:
        """Return symbols and places of predictions; refuse ids that are not ours."""
        largest = int(text.ids.max(initial=0))
        if largest >= self.vocabulary_size:
            raise InputError(
                f"Expected token ids below {self.vocabulary_size}, the size of the "
                f"n-gram model's vocabulary, received {largest}. Encode the text with "
                "the tokenizer of this model."
            )
        return symbols_of(text, self.vocabulary_size, self.sentence_end)

    def _scores(self, endings: list[Places], where: Places) -> Floats:
        """Return the log-probabilities of the symbols at some places.

        From short n-grams to long ones: a longer one that is there replaces what was
        found before, one that is not multiplies it by its context's backoff.
        """
        result = self.tables[0].log_probabilities[endings[0][where]]
        for n in range(1, self.order):
            context, place = endings[n - 1][where - 1], endings[n][where]
            backed = result + _looked_up(self.tables[n - 1].log_backoffs, context, 0.0)
            found = self.tables[n].log_probabilities
            result = _looked_up(found, place, backed)
        return result


def _looked_up(values: Floats, places: Places, absent: Floats | float) -> Floats:
    """Return the values at some places, `absent` where there is none."""
    known = values[places] if len(values) else absent
    return np.where(places == NOWHERE, absent, known)


def _sentence_end(text: EncodedText, contexts: str) -> int | None:
    """Return the id that ends a sentence, None for a stream."""
    if contexts not in ("auto", "sentence", "stream"):
        raise ValueError(
            f"Expected contexts 'auto', 'sentence' or 'stream', received '{contexts}'."
        )
    if contexts == "stream" or (contexts == "auto" and text.start_id is None):
        return None
    if text.line_end_id is None:
        raise InputError(
            "Contexts that begin anew at each line need a vocabulary with a line end; "
            "this one has none. Use contexts='stream'."
        )
    return text.line_end_id


def _blocks(
    symbols: NDArray[np.int32], predicted: Places, order: int
) -> list[tuple[int, int, NDArray[np.int32]]]:
    """Return (first, stop, symbols) of predictions and all that they depend on."""
    blocks = []
    for begin in range(0, len(predicted), _BLOCK):
        stop = min(begin + _BLOCK, len(predicted))
        first = max(0, int(predicted[begin]) - order + 1)
        blocks.append((begin, stop, symbols[first : int(predicted[stop - 1]) + 1]))
    return blocks
