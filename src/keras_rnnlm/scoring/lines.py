"""Scores of single lines of text, each from a zero state."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.scoring.report import perplexity
from keras_rnnlm.scoring.scorer import score_segments

# Lines scored together: enough to fill batches, few enough to keep memory flat and to
# give the first scores of a long standard input soon.
BLOCK_LINES = 2048
BLOCK_CHARACTERS = 1 << 18


@dataclass(frozen=True, eq=False)
class LineScore:
    """The log-probabilities of one line of text, its line end included.

    Attributes:
        text: The line, without its line end.
        tokens: What was predicted, as displayed: words, pieces or characters.
        ids: int32 (tokens,) their ids.
        log_probabilities: float64 (tokens,) natural logarithms, in nats.
        oov: bool (tokens,) which of them were not in the vocabulary.
    """

    text: str
    tokens: list[str]
    ids: NDArray[np.int32]
    log_probabilities: NDArray[np.float64]
    oov: NDArray[np.bool_]

    @property
    def total(self) -> float:
        """Natural-log probability of the line: the sum over its tokens."""
        return float(np.sum(self.log_probabilities))

    @property
    def log10(self) -> float:
        """The total as a logarithm to base 10."""
        return self.total / math.log(10)

    @property
    def perplexity(self) -> float | None:
        """Perplexity of the line's tokens; None for a line without any."""
        count = len(self.log_probabilities)
        return perplexity(-self.total, count) if count else None


@dataclass(frozen=True, eq=False)
class EncodedLine:
    """A line ready to be scored.

    Attributes:
        text: The line, without its line end.
        ids: int32 (tokens + 1,) what it begins after, then its tokens and its line
            end; without line ends in the vocabulary just its tokens, (tokens,).
        oov: bool, of the shape of `ids`: which were not in the vocabulary.
    """

    text: str
    ids: NDArray[np.int32]
    oov: NDArray[np.bool_]

    @staticmethod
    def of(text: str, tokenizer: Tokenizer) -> "EncodedLine":
        """Encode a line, which holds no line end at its end."""
        line_end = tokenizer.line_end_id
        if line_end is None:
            found, unknown = tokenizer.encode_with_oov(text)
            ids = np.asarray(found, np.int32)
        else:
            found, unknown = tokenizer.encode_with_oov(text + "\n")
            ids = np.empty(len(found) + 1, np.int32)
            ids[0], ids[1:] = line_end, found
        oov = np.zeros(len(ids), np.bool_)
        oov[unknown + (len(ids) - len(found))] = True
        return EncodedLine(text, ids, oov)

    def scored(self, tokenizer: Tokenizer, nats: NDArray[np.float32]) -> LineScore:
        """Return the score, given the nats of all ids but the first."""
        targets, tokens = self.ids[1:], tokenizer.tokens
        return LineScore(
            text=self.text,
            tokens=[tokens[token] for token in targets.tolist()],
            ids=targets,
            log_probabilities=-nats.astype(np.float64),
            oov=self.oov[1:],
        )


def score_lines(
    network: keras.Model,
    tokenizer: Tokenizer,
    lines: Iterable[str],
    batch_size: int | None = None,
) -> Iterator[LineScore]:
    r"""Score lines one by one, in order and in bounded memory.

    Each line begins from a zero state after a line end and is scored with its own line
    end, as in the `sentence` protocol. With a character vocabulary that lacks `\n`
    there is no line end: the first character is then given, not predicted, and
    an empty line has no tokens.

    Args:
        network: An `RNNLM`.
        tokenizer: Its tokenizer.
        lines: The lines; a line end at the end of one is dropped. One that holds
            line ends inside is scored as a whole, from one zero state.
        batch_size: Most lines scored side by side.
    """
    for block in _blocks(lines):
        yield from _score_block(network, tokenizer, block, batch_size)


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Gather lines into blocks of bounded size."""
    block: list[str] = []
    characters = 0
    for line in lines:
        line = line.removesuffix("\n")
        block.append(line)
        characters += len(line)
        if len(block) == BLOCK_LINES or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _score_block(
    network: keras.Model,
    tokenizer: Tokenizer,
    block: list[str],
    batch_size: int | None,
) -> Iterator[LineScore]:
    """Encode and score the lines of one block together."""
    encoded = [EncodedLine.of(line, tokenizer) for line in block]
    ids = np.concatenate([line.ids for line in encoded])
    lengths = np.array([len(line.ids) for line in encoded], np.int64)
    stops = np.cumsum(lengths)
    starts = np.minimum(stops - lengths + 1, stops)
    scored = score_segments(network, ids, starts, stops, batch_size)
    bounds = itertools.pairwise(scored.offsets.tolist())
    for line, (first, last) in zip(encoded, bounds, strict=True):
        yield line.scored(tokenizer, scored.nats[first:last])
