"""What every tokenizer has: text to ids and back, and the file it is saved in."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keras_rnnlm.data.blocks import last_cut_at_space
from keras_rnnlm.data.decoders import Decoder
from keras_rnnlm.errors import InputError

UNK = "<unk>"
EOS = "<eos>"
Ids = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]


class Tokenizer(ABC):
    r"""Turns text into ids and ids into text.

    A subclass says for which `kinds` it stands; `from_json` finds it by that.

    Attributes:
        kind: "char", "word", "bpe" or "unigram".
        tokens: each id's token in a form for people; the index is the id.
        unk_id: id of unknown characters or words; None if nothing can be unknown.
        eos_id: id of the line end; None for characters, where "\n" is one of them.
    """

    kind: str
    tokens: list[str]
    unk_id: int | None
    eos_id: int | None
    _by_kind: ClassVar[dict[str, type["Tokenizer"]]] = {}

    def __init_subclass__(cls, kinds: tuple[str, ...] = (), **arguments: Any) -> None:
        """Register the subclass for its kinds."""
        super().__init_subclass__(**arguments)
        for kind in kinds:
            Tokenizer._by_kind[kind] = cls

    @property
    def vocabulary_size(self) -> int:
        """Number of ids."""
        return len(self.tokens)

    @property
    def start_id(self) -> int | None:
        """The id a text begins behind: the line end; None for characters."""
        return self.eos_id

    @property
    def line_end_id(self) -> int | None:
        r"""The id that ends a line; None for characters that lack "\n"."""
        return self.eos_id

    def encode(self, text: str, final: bool = True) -> Ids:
        """Return the ids of a text.

        Args:
            text: any text.
            final: close an unterminated last line with its line end, where line ends
                are tokens; False for a prompt, which goes on.

        Returns:
            int32, shape (tokens,).
        """
        return self.encode_with_oov(text, final)[0]

    def encode_with_oov(self, text: str, final: bool = True) -> tuple[Ids, Positions]:
        """Return the ids of a text and where in them unknown ones stand.

        Args:
            text: any text.
            final: as in `encode`.

        Returns:
            The ids, int32, shape (tokens,), and the increasing positions, int64, shape
            (unknown,), of what is not in the vocabulary. A literal `<unk>` that was in
            the training text is a word of the vocabulary.
        """
        ids, unknown = self._encode(text)
        if final and self.eos_id is not None and text and not text.endswith("\n"):
            ids = np.append(ids, np.int32(self.eos_id))
        return ids, unknown

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of some ids.

        Raises:
            InputError: an id outside the vocabulary.
        """
        decoder = self.decoder()
        return "".join([decoder.push(token) for token in ids]) + decoder.flush()

    @abstractmethod
    def decoder(self) -> Decoder:
        """Return a decoder that takes one id at a time.

        Text that follows a prompt comes out rightly spaced when the ids of the prompt
        are pushed first.
        """

    def last_cut(self, text: str) -> int:
        """Return the last place to cut an unfinished line; see `blocks.py`."""
        return last_cut_at_space(text)

    @abstractmethod
    def to_json(self) -> str:
        """Return the tokenizer in the JSON format of the `tokenizers` library.

        `tokenizers.Tokenizer.from_str` loads it by itself and gives the same ids. (It
        knows no segmenter: it expects the words that one found with spaces between.)
        """

    def extended(self, tokens: Sequence[str]) -> "Tokenizer":
        """Return a tokenizer that knows further words or characters, with new ids.

        Args:
            tokens: What is new, in the order of the ids, which follow the old ones.

        Raises:
            InputError: pieces of words, of which every text consists already.
        """
        raise InputError(
            "Expected a tokenizer of words or characters to add to, received one of "
            f"kind {self.kind}, whose pieces make up every word. Leave new words out."
        )

    def settings(self) -> dict[str, Any]:
        """Return what the JSON format has no place for, as values JSON can hold."""
        return {"kind": self.kind}

    @staticmethod
    def from_json(text: str, settings: Mapping[str, Any] | None = None) -> "Tokenizer":
        """Make the tokenizer again from `to_json` and `settings`.

        Args:
            text: the result of `to_json`.
            settings: the result of `settings`; without it the kind is taken from the
                JSON, no segmenter is used, and a literal `<unk>` counts as unknown.

        Raises:
            InputError: `text` is not the JSON of a tokenizer made here.
        """
        settings = dict(settings or {})
        try:
            data = json.loads(text)
            kind = settings.setdefault("kind", _kind_of(data["model"]))
            return Tokenizer._by_kind[kind]._restore(data, settings)
        except InputError:
            raise
        except Exception as error:  # the library raises bare Exception on bad JSON
            raise InputError(
                "Expected a tokenizer.json written by keras-rnnlm, received something "
                f"else ({type(error).__name__}: {error}). Train the tokenizer again."
            ) from None

    @abstractmethod
    def _encode(self, text: str) -> tuple[Ids, Positions]:
        """Return ids and the positions of unknown ones; no line end is added."""

    @classmethod
    @abstractmethod
    def _restore(cls, data: dict[str, Any], settings: Mapping[str, Any]) -> "Tokenizer":
        """Make the tokenizer from parsed JSON and settings."""


def ordered_tokens(vocabulary: Mapping[str, int]) -> list[str]:
    """Return the tokens of a token-to-id mapping in the order of their ids.

    Raises:
        InputError: the ids are not 0, 1, 2, ….
    """
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    if [vocabulary[token] for token in tokens] != list(range(len(tokens))):
        raise InputError("Expected a vocabulary with the ids 0, 1, 2, … without gaps.")
    return tokens


def _kind_of(model: Mapping[str, Any]) -> str:
    """Tell the kind of tokenizer from the model in its JSON."""
    kind = {"BPE": "bpe", "Unigram": "unigram"}.get(model["type"])
    return kind or ("word" if EOS in model["vocab"] else "char")
