"""How much of a vocabulary, and of a text, has a pretrained word vector."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.data.vector_words import HOW
from keras_rnnlm.data.vectors import WordVectors

MISSING = 10


@dataclass(frozen=True)
class Coverage:
    """What of a vocabulary and its text has a vector. Line ends are left out.

    Attributes:
        file: Name of the file of vectors.
        words: Words in it.
        width: Numbers of each vector.
        types: Different words of the vocabulary.
        types_found: Those with a vector.
        exact: Those found as they are,
        case: in another case,
        normalized: or normalised.
        tokens: Words of the text, each as often as it comes; None without a text.
        tokens_found: Those with a vector.
        missing: The most frequent words without one, and how often they come.
        duplicates: Words that stood in the file again; the first vector counts.
        not_utf8: Words of the file that are not in UTF-8.
    """

    file: str
    words: int
    width: int
    types: int
    types_found: int
    exact: int
    case: int
    normalized: int
    tokens: int | None
    tokens_found: int | None
    missing: list[tuple[str, int | None]]
    duplicates: int
    not_utf8: int

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, fit for JSON."""
        return {**asdict(self), "missing": [list(pair) for pair in self.missing]}

    def sentence(self) -> str:
        """Return them as a sentence for people."""
        share = self.types_found / self.types
        text = (
            f"Word vectors: {self.types_found:,} of {self.types:,} words ({share:.1%})"
        )
        if self.tokens and self.tokens_found is not None:
            text += f", {self.tokens_found / self.tokens:.1%} of the text,"
        text += " have one"
        if self.missing:
            named = ", ".join(word for word, _ in self.missing[:5])
            text += f"; the most frequent without: {named}"
        return f"{text}."


def coverage_of(
    vectors: WordVectors,
    tokenizer: Tokenizer,
    counts: NDArray[np.integer] | None = None,
    most: int = MISSING,
) -> Coverage:
    """Say what of a vocabulary and its text has a vector.

    Args:
        vectors: As they were read.
        tokenizer: Of the vocabulary.
        counts: (V,): how often each token comes in a text; None without one. Lower ids
            are then taken for more frequent words, as a vocabulary has them.
        most: Number of words without a vector to name.
    """
    is_word = np.ones(vectors.vocabulary_size, bool)
    if tokenizer.eos_id is not None:
        is_word[tokenizer.eos_id] = False
    unknown = tokenizer.unk_id
    if unknown is not None:
        # As a word it stands for those outside the vocabulary, where there are some.
        is_word[unknown] = counts is not None and counts[unknown] > 0
    found = np.zeros(vectors.vocabulary_size, bool)
    found[vectors.ids] = True
    how = vectors.how[is_word[vectors.ids]]
    by_how = dict(zip(HOW, np.bincount(how, minlength=len(HOW)).tolist(), strict=True))
    missing = np.flatnonzero(is_word & ~found)
    if counts is not None:
        missing = missing[np.argsort(-counts[missing], kind="stable")]
    return Coverage(
        file=vectors.path,
        words=vectors.entries,
        width=vectors.width,
        types=int(is_word.sum()),
        types_found=int((is_word & found).sum()),
        **by_how,
        tokens=None if counts is None else int(counts[is_word].sum()),
        tokens_found=None if counts is None else int(counts[is_word & found].sum()),
        missing=[
            (tokenizer.tokens[i], None if counts is None else int(counts[i]))
            for i in missing[:most].tolist()
        ],
        duplicates=vectors.duplicates,
        not_utf8=vectors.not_utf8,
    )
