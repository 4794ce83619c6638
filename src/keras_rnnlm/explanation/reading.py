r"""A text as an explanation reads it: tokens, and the piece of text of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer, WordTokenizer
from keras_rnnlm.data.word_tokenizer import shown_word
from keras_rnnlm.errors import InputError

# Longer than any text of as many tokens, but for some of no interest.
CHARACTERS_A_TOKEN = 32


@dataclass(frozen=True, eq=False)
class Reading:
    r"""A text of N predictions.

    Prediction t, counted from 1, is of `ids[t]` after the inputs `ids[0]` to
    `ids[t - 1]`, from a zero state.

    Attributes:
        ids: int32 (N + 1,). The first is a line end that stands before the text; with
            a vocabulary of characters that has none, the text's first character.
        pieces: of each id the text it stands for, spaces and line ends included. Of an
            unknown character or word its own. May be empty, of a part of a character.
        oov: bool (N + 1,), which were not in the vocabulary.
        given: whether the first id is of the text: it is read and not predicted.
        shown: how many predictions are shown one by one; the rest counts in what is
            measured.
        more: whether the text goes on behind them.
    """

    ids: NDArray[np.int32]
    pieces: list[str]
    oov: NDArray[np.bool_]
    given: bool
    shown: int
    more: bool

    @property
    def predictions(self) -> int:
        """Their number, N."""
        return len(self.ids) - 1


def characters_of(tokens: int) -> int:
    """Return how much of a text has to be read for some tokens of it."""
    return tokens * CHARACTERS_A_TOKEN


def read(tokenizer: Tokenizer, text: str, shown: int, sample: int) -> Reading:
    """Encode the beginning of a text.

    Args:
        tokenizer: The model's.
        text: The text.
        shown: Most predictions that are shown.
        sample: Most predictions that are measured; no fewer than are shown.

    Raises:
        InputError: Without any token to predict.
    """
    sample = max(sample, shown)
    if not text.strip():
        raise InputError(
            "Expected a text with something to predict, received "
            f"{'a blank' if text else 'an empty'} one. Give a text to explain."
        )
    cut = text[: characters_of(sample)]
    whole = len(cut) == len(text)
    found, unknown = tokenizer.encode_with_oov(cut, final=whole)
    pieces = _pieces(tokenizer, cut, found)
    oov = np.zeros(len(found), np.bool_)
    oov[unknown] = True
    before = tokenizer.line_end_id
    if before is not None:
        found = np.concatenate([[before], found]).astype(np.int32)
        pieces, oov = ["\n", *pieces], np.concatenate([[False], oov])
    given = before is None
    if len(found) < 2:
        raise InputError(
            "Expected a text of two characters or more, of which the first is given "
            f"and not predicted, received {text!r}. Give a longer one."
        )
    # What a cut leaves of a word is no word of the text.
    kept = min(sample + 1, len(found) if whole else max(len(found) - 1, 2))
    return Reading(
        ids=found[:kept].astype(np.int32),
        pieces=pieces[:kept],
        oov=oov[:kept],
        given=given,
        shown=min(shown, kept - 1),
        more=not whole or kept < len(found),
    )


def _pieces(tokenizer: Tokenizer, text: str, ids: NDArray[np.int32]) -> list[str]:
    if tokenizer.kind == "char":
        return list(text)
    decoder = tokenizer.decoder()
    pieces = [decoder.push(token) for token in ids.tolist()]
    if isinstance(tokenizer, WordTokenizer):
        # Words as they stand there, the unknown ones too.
        for i, word in enumerate(tokenizer.words(text)):
            if i < len(pieces) and ids[i] == tokenizer.unk_id:
                space = " " if pieces[i].startswith(" ") else ""
                pieces[i] = space + shown_word(word)
    return pieces
