r"""Characters as symbols, "\n" among them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_rnnlm.data.blocks import last_cut_anywhere
from keras_rnnlm.data.decoders import CharacterDecoder, Decoder
from keras_rnnlm.data.tokenizer_base import (
    UNK,
    Ids,
    Positions,
    Tokenizer,
    ordered_tokens,
)
from keras_rnnlm.errors import InputError

_CODE_POINTS = 0x110000


class CharacterTokenizer(Tokenizer, kinds=("char",)):
    """One id for each character (code point) of the training text, and `<unk>`.

    Args:
        characters: the vocabulary without `<unk>`, which gets id 0; the first of these
            gets id 1.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        """See the class."""
        self.kind = "char"
        self.tokens = [UNK, *characters]
        self.unk_id = 0
        self.eos_id = None
        self._line_end = self.tokens.index("\n") if "\n" in self.tokens else None
        self._table = np.zeros(_CODE_POINTS, np.int32)  # code point to id
        for index, character in enumerate(characters, 1):
            if len(character) != 1:
                raise InputError(f"Expected one character, received {character!r}.")
            self._table[ord(character)] = index

    @property
    def line_end_id(self) -> int | None:
        r"""The id of "\n"; None if the training text had none."""
        return self._line_end

    def decode(self, ids: Iterable[int]) -> str:
        r"""Return the text of some ids; U+FFFD stands for an unknown character."""
        return super().decode(ids)

    def decoder(self) -> Decoder:
        """Return a decoder; U+FFFD stands for an unknown character."""
        return CharacterDecoder(["\ufffd", *self.tokens[1:]])

    def last_cut(self, text: str) -> int:
        """Any place will do."""
        return last_cut_anywhere(text)

    def extended(self, tokens: Sequence[str]) -> "CharacterTokenizer":
        """See `Tokenizer`."""
        return CharacterTokenizer([*self.tokens[1:], *tokens])

    def to_json(self) -> str:
        """Return a word-level model over single characters."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

        vocabulary = {token: index for index, token in enumerate(self.tokens)}
        saved = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
        saved.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        saved.decoder = decoders.Sequence(
            [decoders.Replace(UNK, "\ufffd"), decoders.Fuse()]
        )
        return str(saved.to_str(pretty=True))

    def _encode(self, text: str) -> tuple[Ids, Positions]:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        ids = self._table[codes]
        return ids, np.flatnonzero(ids == self.unk_id)

    @classmethod
    def _restore(
        cls, data: dict[str, Any], settings: Mapping[str, Any]
    ) -> "CharacterTokenizer":
        tokens = ordered_tokens(data["model"]["vocab"])
        if tokens[:1] != [UNK]:
            raise InputError(f"Expected a character vocabulary that begins with {UNK}.")
        return cls(tokens[1:])

    def __reduce__(self) -> tuple[type["CharacterTokenizer"], tuple[list[str]]]:
        """Pickle the characters without the table."""
        return CharacterTokenizer, (self.tokens[1:],)
