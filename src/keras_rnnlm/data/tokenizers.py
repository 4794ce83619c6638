"""Choosing and training a tokenizer for a text.

The tokenizers themselves stand in `character_tokenizer.py`, `word_tokenizer.py` and
`piece_tokenizer.py`; what they share is in `tokenizer_base.py`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from keras_rnnlm.data.character_tokenizer import CharacterTokenizer
from keras_rnnlm.data.decoders import Decoder
from keras_rnnlm.data.piece_tokenizer import PieceTokenizer
from keras_rnnlm.data.piece_training import train_pieces
from keras_rnnlm.data.samples import sample_text, uses_spaces
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.data.tokenizer_base import EOS, UNK, Tokenizer
from keras_rnnlm.data.vocabulary import (
    Progress,
    count_characters,
    count_words,
    most_frequent,
    read_vocabulary,
)
from keras_rnnlm.data.word_tokenizer import WordTokenizer
from keras_rnnlm.errors import InputError, nearest

__all__ = [
    "EOS",
    "KINDS",
    "UNK",
    "CharacterTokenizer",
    "Decoder",
    "PieceTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "choose_kind",
    "train_tokenizer",
]

KINDS = ("char", "word", "bpe", "unigram")
_LOOKED_AT = 1_000_000
_SMALL = 2_000_000
_ENDINGS = ".,;:!?،؛؟۔"
_CLOSERS = "\"')]}»”’"
_ATTACHED_MOST = 0.05
_ONE_WORD = 1.2
"""Words a line of a list of words, at most."""
_ONCE = 0.5
"""Share of different ones among the words of such a list, at least."""


def choose_kind(
    sample: str, characters: int | None = None, vectors: bool = False
) -> tuple[str, str]:
    """Choose a kind of tokenizer for a text.

    Text without spaces gets characters. Text whose punctuation stands apart (Penn
    Treebank, WikiText), or that has none, gets words: somebody has made words of it.
    A list of words, most of which stand there once, is of use by characters alone.
    Other text gets characters if there is little of it and byte pairs if there is
    more, both of which know every word; but words where they have vectors.

    Args:
        sample: some of the text.
        characters: length of the whole text; that of the sample by default.
        vectors: whether a model of it begins with word vectors.

    Returns:
        "word", "char" or "bpe", and the reason, a sentence.
    """
    characters = len(sample) if characters is None else characters
    if not uses_spaces(sample):
        return "char", "Characters, because the text has no spaces between words."
    words = sample.split()
    lines = sum(not line.isspace() for line in sample.splitlines() if line)
    listed = len(words) <= _ONE_WORD * lines
    if listed and not vectors and len(set(words)) >= _ONCE * len(words):
        return "char", (
            "Characters, because the text is a list of words, most of which stand "
            "there once."
        )
    attached = sum(map(_ends_with_mark, words))
    if attached <= _ATTACHED_MOST * len(words):
        return "word", "Words, because spaces part them from each other and from marks."
    if vectors:
        return "word", (
            "Words, because word vectors are given; marks that are joined to a word "
            "are part of it. --tokenizer chooses otherwise."
        )
    if characters < _SMALL:
        return "char", (
            "Characters, because marks are joined to the words and the text is short "
            f"({characters:,} characters); they leave no word unknown."
        )
    return "bpe", (
        "Byte pairs, because marks are joined to the words of this long text; they "
        "leave no word unknown."
    )


def _ends_with_mark(word: str) -> bool:
    """Whether a mark is joined to the word before it, as in `word,` and `"word",`."""
    core = word.rstrip(_ENDINGS + _CLOSERS)
    marks = word[len(core) :]
    return core[-1:].isalnum() and not set(marks).isdisjoint(_ENDINGS)


def train_tokenizer(
    files: Sequence[TextFile],
    kind: str = "auto",
    vocabulary_size: int | None = None,
    minimum_count: int = 1,
    vocabulary_file: str | os.PathLike[str] | None = None,
    segmenter: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tokenizer:
    """Make a tokenizer for a text.

    Args:
        files: the training text, and nothing else.
        kind: "char", "word", "bpe", "unigram", or "auto" for `choose_kind` ("word" if a
            vocabulary file or a segmenter is given).
        vocabulary_size: most entries of the vocabulary, `<unk>` and `<eos>` counted. By
            default all characters or words, or as many pieces as suit the text.
        minimum_count: how often a character or word must stand in the text.
        vocabulary_file: the words, one a line, instead of those of the text; `<unk>`
            and `<eos>` may be among them.
        segmenter: "jieba" finds the words of Chinese text.
        seed: of the sample that "bpe" and "unigram" are trained on.
        progress: called with characters done and characters in all.

    Raises:
        InputError: settings that do not exist or do not go together, words asked of a
            text without spaces, a vocabulary that would be empty.
    """
    if kind not in ("auto", *KINDS):
        raise InputError(
            f"Unknown tokenizer '{kind}'.{nearest(kind, KINDS)} "
            f"There are: auto, {', '.join(KINDS)}."
        )
    if minimum_count < 1:
        raise InputError(f"Expected minimum_count of 1 or more, got {minimum_count}.")
    if kind == "auto" and (vocabulary_file is not None or segmenter is not None):
        kind = "word"
    sample = sample_text(files, _LOOKED_AT, seed)
    if kind == "auto":
        kind, _ = choose_kind(sample, sum(file.characters for file in files))
    if kind != "word" and (vocabulary_file is not None or segmenter is not None):
        raise InputError(
            "A vocabulary file and a segmenter go with --tokenizer word, "
            f"received --tokenizer {kind}."
        )
    if kind == "word":
        if segmenter is None and not uses_spaces(sample):
            raise InputError(
                "Words were asked for, but the text has no spaces between words. Use "
                "--tokenizer char, --tokenizer bpe, or --segmenter jieba "
                "(pip install 'keras-rnnlm[jieba]')."
            )
        return _train_words(
            files, vocabulary_size, minimum_count, vocabulary_file, segmenter, progress
        )
    if kind == "char":
        room = _room(vocabulary_size, 1, kind)
        counts = count_characters(files, progress)
        characters = most_frequent(counts, room, minimum_count)
        return CharacterTokenizer(_not_empty(characters, minimum_count))
    if minimum_count > 1:
        raise InputError(
            f"minimum_count is for characters and words; for {kind} set "
            "vocabulary_size instead."
        )
    return train_pieces(files, kind, vocabulary_size, seed, progress)


def _train_words(
    files: Sequence[TextFile],
    vocabulary_size: int | None,
    minimum_count: int,
    vocabulary_file: str | os.PathLike[str] | None,
    segmenter: str | None,
    progress: Progress | None,
) -> WordTokenizer:
    """Make a word tokenizer from the words of a text or of a vocabulary file."""
    room = _room(vocabulary_size, 2, "word")
    splitter = WordTokenizer([], unk_is_word=False, segmenter=segmenter)
    bounded = room is not None or minimum_count > 1 or vocabulary_file is not None
    counts = count_words(files, splitter.words, splitter.last_cut, bounded, progress)
    unk_is_word = counts.get(UNK, 0) > 0
    if vocabulary_file is None:
        counts = splitter.vocabulary_words(counts)
        words = _not_empty(most_frequent(counts, room, minimum_count), minimum_count)
    else:
        if vocabulary_size is not None or minimum_count > 1:
            raise InputError(
                "A vocabulary file says which words there are: give no vocabulary_size "
                "and no minimum_count with it."
            )
        listed = read_vocabulary(Path(vocabulary_file))
        words = [word for word in listed if word not in (EOS, UNK)]
    return WordTokenizer(words, unk_is_word, segmenter)


def _room(vocabulary_size: int | None, specials: int, kind: str) -> int | None:
    """Return how many entries fit beside the special ones."""
    if vocabulary_size is not None and vocabulary_size <= specials:
        raise InputError(
            f"Expected vocabulary_size above {specials} for {kind}, "
            f"received {vocabulary_size}."
        )
    return None if vocabulary_size is None else vocabulary_size - specials


def _not_empty(entries: list[str], minimum_count: int) -> list[str]:
    """Return the entries; raise InputError if there are none."""
    if not entries:
        raise InputError(
            "The vocabulary would be empty: nothing in the text stands there "
            f"{minimum_count} times. Give more text or a smaller minimum_count."
        )
    return entries
