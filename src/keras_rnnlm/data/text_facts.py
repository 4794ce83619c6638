"""What an encoded text is like, as far as settings hang on it."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.vocabulary import token_counts

MOST = 1 << 22
"""Tokens, from the beginning, in which repetition is looked for."""
WINDOWS = {"char": 24, "word": 6}
"""Tokens of a passage that is called repeated, by kind of tokenizer."""
_WINDOW = 8
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class TextFacts:
    """A training text in figures.

    Attributes:
        kind: Of the tokenizer: `char`, `word`, `bpe`, `unigram`.
        tokens: Number of predicted tokens.
        vocabulary: Number of token ids.
        types: Different tokens that occur.
        once: How many of them occur once.
        lines: Number of lines.
        repeated: Share of the tokens that end a passage which stood before in the text,
            of 24 characters, 6 words or 8 pieces.
    """

    kind: str
    tokens: int
    vocabulary: int
    types: int
    once: int
    lines: int
    repeated: float

    @property
    def fresh(self) -> float:
        """Number of tokens that do not repeat a passage."""
        return self.tokens * (1.0 - self.repeated)

    def to_dict(self) -> dict[str, float | int | str]:
        """Return all fields for JSON."""
        return asdict(self)


def text_facts(text: EncodedText, kind: str, vocabulary_size: int) -> TextFacts:
    """Count what there is to count in a text."""
    counts = token_counts(text.ids, vocabulary_size)
    return TextFacts(
        kind=kind,
        tokens=text.counts.tokens_predicted,
        vocabulary=vocabulary_size,
        types=int((counts > 0).sum()),
        once=int((counts == 1).sum()),
        lines=text.counts.lines,
        repeated=repeated_share(text.ids, WINDOWS.get(kind, _WINDOW)),
    )


def repeated_share(ids: NDArray[np.unsignedinteger], window: int) -> float:
    """Return the share of windows of ids that stood before, by a 64-bit hash.

    Args:
        ids: Token ids, shape (n,); the first four million count.
        window: Length of a window.

    Returns:
        A share from 0 to 1; 0 for a text shorter than two windows.
    """
    ids = ids[:MOST]
    number = len(ids) - window + 1
    if number < 2:
        return 0.0
    keys = np.zeros(number, np.uint64)
    with np.errstate(over="ignore"):
        for place in range(window):
            keys ^= ids[place : place + number].astype(np.uint64) + np.uint64(1)
            keys *= _MULTIPLIER
            keys ^= keys >> np.uint64(29)
    return (number - len(np.unique(keys))) / number
