r"""Words between white space, or from a segmenter, and `<eos>` at line ends.

White space is what `str.split` takes for it: Unicode's White_Space and the separators
U+001C to U+001F. Only "\n" ends a line.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np

from keras_rnnlm.data.blocks import last_cut_at_clause, last_cut_at_space
from keras_rnnlm.data.decoders import Decoder, WordDecoder
from keras_rnnlm.data.segmenters import load_segmenter
from keras_rnnlm.data.tokenizer_base import (
    EOS,
    UNK,
    Ids,
    Positions,
    Tokenizer,
    ordered_tokens,
)
from keras_rnnlm.errors import InputError

_SPACE = r"\s\x1c-\x1f"
_LITERAL_EOS = rf"(?<![^{_SPACE}]){EOS}(?![^{_SPACE}])"
_NOT_EOS = "\ufdd0"  # stands for a literal <eos>; never in a vocabulary


def shown_word(word: str) -> str:
    """Return a word of `WordTokenizer.words` as it stands in the text."""
    return EOS if word == _NOT_EOS else word


class WordTokenizer(Tokenizer, kinds=("word",)):
    """One id for each word of a vocabulary, `<eos>` (0) and `<unk>` (1).

    A literal `<eos>` in a text is an unknown word: only a line end ends a line.

    Args:
        words: the vocabulary without `<eos>` and `<unk>`; the first gets id 2.
        unk_is_word: `<unk>` stood in the training text, so that it is a word when it
            stands in a text.
        segmenter: None for words between white space, or "jieba".
    """

    unk_id: int
    eos_id: int

    def __init__(
        self, words: Sequence[str], unk_is_word: bool, segmenter: str | None = None
    ) -> None:
        """See the class."""
        self.kind = "word"
        self.tokens = [EOS, UNK, *words]
        self.eos_id = 0
        self.unk_id = 1
        self.unk_is_word = unk_is_word
        self.segmenter = segmenter
        self._segment = load_segmenter(segmenter) if segmenter else None
        self._ids = {word: index for index, word in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens) or _NOT_EOS in self._ids:
            raise InputError(
                f"Expected each word of the vocabulary once, without {EOS}, {UNK} and "
                "U+FDD0."
            )
        if not unk_is_word:
            del self._ids[UNK]

    def decoder(self) -> Decoder:
        """Return a decoder that puts spaces between words."""
        return WordDecoder(self.tokens, self.eos_id, self.segmenter is not None)

    def last_cut(self, text: str) -> int:
        """Cut before a space or, for a segmenter, after a clause."""
        return last_cut_at_clause(text) if self._segment else last_cut_at_space(text)

    def to_json(self) -> str:
        """Return a word-level model over words between white space."""
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

        vocabulary = {token: index for index, token in enumerate(self.tokens)}
        saved = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
        saved.normalizer = normalizers.Sequence(
            [
                normalizers.Replace(Regex(_LITERAL_EOS), UNK),
                normalizers.Replace("\n", f" {EOS} "),
            ]
        )
        saved.pre_tokenizer = pre_tokenizers.Split(Regex(f"[{_SPACE}]+"), "removed")
        return str(saved.to_str(pretty=True))

    def settings(self) -> dict[str, Any]:
        """Return the kind, the segmenter, and whether `<unk>` is a word."""
        return {
            "kind": self.kind,
            "segmenter": self.segmenter,
            "unk_is_word": self.unk_is_word,
        }

    def words(self, text: str) -> list[str]:
        """Return the words of a text and `<eos>` for its line ends, as looked up."""
        if self._segment:
            lines = text.split("\n")
            parts = [[*self._segment(line), EOS] for line in lines]
            parts[-1].pop()
            return list(chain.from_iterable(parts))
        if EOS in text:
            text = re.sub(_LITERAL_EOS, _NOT_EOS, text)
        return text.replace("\n", f" {EOS} ").split()

    def extended(self, tokens: Sequence[str]) -> "WordTokenizer":
        """See `Tokenizer`."""
        words = [*self.tokens[2:], *tokens]
        return WordTokenizer(words, self.unk_is_word, self.segmenter)

    def vocabulary_words(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Leave out of counted `words` what is no word of its own."""
        return {
            word: count
            for word, count in counts.items()
            if word not in (EOS, UNK, _NOT_EOS)
        }

    def _encode(self, text: str) -> tuple[Ids, Positions]:
        words = self.words(text)
        ids = np.fromiter(map(self._ids.get, words, repeat(-1)), np.int32, len(words))
        unknown = np.flatnonzero(ids < 0)
        ids[unknown] = self.unk_id
        return ids, unknown

    @classmethod
    def _restore(
        cls, data: dict[str, Any], settings: Mapping[str, Any]
    ) -> "WordTokenizer":
        tokens = ordered_tokens(data["model"]["vocab"])
        if tokens[:2] != [EOS, UNK]:
            raise InputError(
                f"Expected a word vocabulary that begins with {EOS} {UNK}."
            )
        unk_is_word = bool(settings.get("unk_is_word", False))
        return cls(tokens[2:], unk_is_word, settings.get("segmenter"))

    def __reduce__(
        self,
    ) -> tuple[type["WordTokenizer"], tuple[list[str], bool, str | None]]:
        """Pickle what the constructor takes."""
        return WordTokenizer, (self.tokens[2:], self.unk_is_word, self.segmenter)
