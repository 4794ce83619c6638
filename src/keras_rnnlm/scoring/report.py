r"""The figures of a model on a text: nats and counts summed, then divided once.

What each figure counts, for a text of files read as Unicode with line ends `\n`:

- *tokens*: predictions. Word and sub-word models predict every token and one line end
  a line; character models predict every character of a file, newlines included, but
  the first.
- *oov*: those of the predictions whose token was not in the vocabulary, so that what
  was predicted is `<unk>`. A literal `<unk>` known from training is a word, not an OOV.
- *word perplexity*: exp(nats / (words between white space + lines)), so models of
  words, sub-words and characters compare. Only without OOVs: `<unk>` is cheaper
  than the word it stands for.
- *bits per character*: nats / ln 2 / all characters of the files, newlines included.
- *bits per byte*: nats / ln 2 / bytes of the files as they are stored (decompressed, in
  their own encoding, with their own line ends).

The last two divide by everything in the files, also by the first character that a
character model does not predict. `loss` divides by predictions alone.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.protocols import (
    Protocol,
    protocol_for,
    segments,
)
from keras_rnnlm.scoring.scorer import SegmentScores, score_segments


@dataclass(frozen=True)
class Totals:
    """Nats and counts over the predictions of a text, and what divides out of them.

    Attributes:
        tokens: Number of predictions.
        nats: Sum of their negative natural-log probabilities.
        oov: Number of predictions of out-of-vocabulary tokens.
        nats_without_oov: The sum without those.
    """

    tokens: int
    nats: float
    oov: int
    nats_without_oov: float

    @classmethod
    def of(
        cls,
        nats: NDArray[np.floating],
        text: EncodedText,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
    ) -> "Totals":
        """Sum in float64.

        Args:
            nats: One value a prediction, in the order of the segments.
            text: The text that was scored.
            starts: (segments,) first predicted position of each, ascending.
            stops: (segments,) position after the last of each.

        Raises:
            InputError: If there is no prediction at all.
        """
        if not len(nats):
            raise InputError(
                "Expected a text with at least one token to predict, received none "
                "(a character model does not predict the first character of a file). "
                "Give a longer text."
            )
        unknown = nats[_oov_places(text, starts, stops)]
        total = float(np.sum(nats, dtype=np.float64))
        if not len(unknown):
            return cls(len(nats), total, 0, total)
        # Summed apart, not subtracted: an OOV can hold nearly all of the nats.
        known = np.delete(nats, _oov_places(text, starts, stops))
        return cls(
            len(nats), total, len(unknown), float(np.sum(known, dtype=np.float64))
        )

    @property
    def loss(self) -> float:
        """Nats per prediction."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """Exp(nats / predictions), OOVs included as `<unk>`."""
        return perplexity(self.nats, self.tokens)

    @property
    def perplexity_without_oov(self) -> float | None:
        """The same over the predictions that are no OOVs; None if there are none."""
        known = self.tokens - self.oov
        return perplexity(self.nats_without_oov, known) if known else None


@dataclass(frozen=True)
class Report:
    """The figures of a model on a text. The names are stable keys of the JSON form.

    Attributes:
        protocol: State protocol, such as `carry` or `window:256`.
        token: What a prediction is of: `word`, `subword`, `character` or `token`.
        tokens: Number of predictions, line ends included.
        nats: Sum of negative natural-log probabilities.
        loss: Nats per prediction.
        perplexity: exp(loss).
        oov: Number of predicted out-of-vocabulary tokens.
        nats_without_oov: Nats of the other predictions.
        perplexity_without_oov: Perplexity of those; None if there are none.
        words: Words between white space.
        lines: Lines.
        word_perplexity: exp(nats / (words + lines)); None for scripts without spaces.
        word_perplexity_comparable: Whether it may be set beside other models': false
            with OOVs, or without a word perplexity.
        characters: Characters of the files, newlines included.
        bits_per_character: Bits over those characters.
        bytes: Bytes of the files.
        bits_per_byte: Bits over those bytes.
        accuracy: Share of predictions whose token was the likeliest.
        seconds: Wall-clock time, compilation included.
        tokens_per_second: Predictions over that time.
    """

    protocol: str
    token: str
    tokens: int
    nats: float
    loss: float
    perplexity: float
    oov: int
    nats_without_oov: float
    perplexity_without_oov: float | None
    words: int
    lines: int
    word_perplexity: float | None
    word_perplexity_comparable: bool
    characters: int
    bits_per_character: float
    bytes: int
    bits_per_byte: float
    accuracy: float
    seconds: float
    tokens_per_second: float

    def __str__(self) -> str:
        """Return what people want to know first, on one line; `repr` has the rest."""
        unknown = f", {self.oov:,} out of vocabulary" if self.oov else ""
        return (
            f"perplexity {self.perplexity:.2f} per {self.token} ({self.tokens:,} "
            f"predicted{unknown}, protocol {self.protocol}), "
            f"{self.bits_per_character:.4f} bits per character, "
            f"accuracy {self.accuracy:.2%}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON; one too large for a float becomes None."""
        return finite(dataclasses.asdict(self))


def evaluate(
    network: keras.Model,
    text: EncodedText,
    protocol: str | Protocol | None = None,
    *,
    token: str = "token",
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Score a text and report the figures. They do not depend on the batch size.

    Args:
        network: An `RNNLM`, or any model with its `initial_state`, `hidden`, `logits`.
        text: The encoded text.
        protocol: State protocol; chosen by `default_protocol` when absent.
        token: What a prediction is of, for the report.
        batch_size: Most segments scored side by side.
        progress: Called with the numbers of tokens done and of all.

    Raises:
        ConfigError: For an unknown protocol.
        InputError: For a text without predictions, or a network whose
            probabilities are not numbers.
    """
    scored = score_text(network, text, protocol, batch_size, progress)
    return report_of(scored, text, token)


@dataclass(frozen=True, eq=False)
class ScoredText:
    """What a network says of a text, before anything is summed.

    Attributes:
        protocol: State protocol.
        starts: (segments,) first predicted position of each, ascending.
        stops: (segments,) position after the last of each.
        scores: Of every prediction, in the order of the segments.
        seconds: Wall-clock time, compilation included.
    """

    protocol: Protocol
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    scores: SegmentScores
    seconds: float


def score_text(
    network: keras.Model,
    text: EncodedText,
    protocol: str | Protocol | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ScoredText:
    """Score a text under a protocol; arguments and errors are those of `evaluate`."""
    began = time.perf_counter()
    chosen = protocol_for(text, protocol)
    starts, stops = segments(text, chosen)
    scores = score_segments(network, text.ids, starts, stops, batch_size, progress)
    return ScoredText(chosen, starts, stops, scores, time.perf_counter() - began)


def report_of(scored: ScoredText, text: EncodedText, token: str = "token") -> Report:
    """Return the figures of a text that was scored.

    Args:
        scored: What `score_text` found.
        text: The same text.
        token: What a prediction is of, for the report.

    Raises:
        InputError: If there was nothing to predict.
    """
    totals = Totals.of(scored.scores.nats, text, scored.starts, scored.stops)
    return Report(
        protocol=str(scored.protocol),
        token=token,
        **figures_of(totals, text),
        accuracy=int(np.count_nonzero(scored.scores.correct)) / totals.tokens,
        seconds=scored.seconds,
        tokens_per_second=totals.tokens / scored.seconds,
    )


def figures_of(totals: Totals, text: EncodedText) -> dict[str, Any]:
    """Return what divides out of the nats and counts of a text.

    Returns:
        The fields of `Report` from `tokens` to `bits_per_byte`.
    """
    counts, bits = text.counts, totals.nats / math.log(2)
    spaced = text.spaced
    return {
        "tokens": totals.tokens,
        "nats": totals.nats,
        "loss": totals.loss,
        "perplexity": totals.perplexity,
        "oov": totals.oov,
        "nats_without_oov": totals.nats_without_oov,
        "perplexity_without_oov": totals.perplexity_without_oov,
        "words": counts.words,
        "lines": counts.lines,
        "word_perplexity": (
            perplexity(totals.nats, counts.words + counts.lines) if spaced else None
        ),
        "word_perplexity_comparable": spaced and totals.oov == 0,
        "characters": counts.characters,
        "bits_per_character": bits / counts.characters,
        "bytes": counts.raw_bytes,
        "bits_per_byte": bits / counts.raw_bytes,
    }


def finite(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures with None for those that are too large for a float."""
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in figures.items()
    }


def perplexity(nats: float, count: int) -> float:
    """Return exp(nats / count), infinity where a float cannot hold it."""
    try:
        return math.exp(nats / count)
    except OverflowError:
        return math.inf


def _oov_places(
    text: EncodedText, starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return where the OOVs stand in an array of one value a prediction."""
    positions = np.asarray(text.oov_positions, np.int64)
    owner = np.searchsorted(starts, positions, side="right") - 1
    # The first character of a file may be an OOV too, and is not predicted.
    predicted = (owner >= 0) & (positions < stops[owner])
    positions, owner = positions[predicted], owner[predicted]
    offsets = np.cumsum(stops - starts) - (stops - starts)
    places: NDArray[np.int64] = offsets[owner] + positions - starts[owner]
    return places
