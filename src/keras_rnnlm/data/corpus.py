"""A corpus: training, validation and test text, encoded by one tokenizer.

The vocabulary comes from the training text alone. What a reader of the figures should
know of the data (which tokenizer and why, unknown words, lines that stand in the
training text and in another) is counted here and said in `notes`.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from keras_rnnlm.data.new_words import with_new_words
from keras_rnnlm.data.parts import NAMES, Parts, hold_out_parts, split_parts
from keras_rnnlm.data.store import EncodedText, Progress, encode_files, encode_texts
from keras_rnnlm.data.text import (
    TextFile,
    find_files,
    sample_text,
    shared_lines,
)
from keras_rnnlm.data.tokenizers import Tokenizer, choose_kind, train_tokenizer
from keras_rnnlm.errors import InputError

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_SAMPLE_CHARACTERS = 1_000_000
_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Corpus:
    """Encoded text for training, validation and test, and the tokenizer they share.

    Attributes:
        train: the training text.
        valid: the validation text, if there is one.
        test: the test text, if there is one.
        tokenizer: what made the ids, trained on the training text alone unless given.
        shared_lines: for "valid" and "test", how many of the text's lines (empty ones
            left out) stand in the training text too.
        notes: sentences for people about all this.
    """

    train: EncodedText
    valid: EncodedText | None
    test: EncodedText | None
    tokenizer: Tokenizer
    shared_lines: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids that the tokenizer can produce."""
        return self.tokenizer.vocabulary_size

    def parts(self) -> dict[str, EncodedText]:
        """Return the texts that there are by name: "train", "valid", "test"."""
        every = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: text for name, text in every.items() if text is not None}

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the decoded text of each part."""
        return {name: text.sha256 for name, text in self.parts().items()}

    def describe(self) -> dict[str, Any]:
        """Return what a report says of the data, fit for JSON."""
        texts = {
            name: {
                "files": list(text.names),
                "sha256": text.sha256,
                **asdict(text.counts),
                "shared_lines": self.shared_lines.get(name),
            }
            for name, text in self.parts().items()
        }
        texts["train"].pop("shared_lines")
        return {
            "tokenizer": self.tokenizer.kind,
            "vocabulary_size": self.vocabulary_size,
            **texts,
        }

    @classmethod
    def from_files(
        cls,
        train: Paths,
        valid: Paths | None = None,
        test: Paths | None = None,
        *,
        tokenizer: str | Tokenizer = "auto",
        split: Sequence[float] | None = None,
        encoding: str = "utf-8",
        vocabulary_size: int | None = None,
        minimum_count: int | None = None,
        vocabulary_file: str | os.PathLike[str] | None = None,
        segmenter: str | None = None,
        new_words: int | None = None,
        vectors: bool = False,
        seed: int = 0,
        cache: str | os.PathLike[str] | None = None,
        processes: int | None = None,
        progress: Progress | None = None,
    ) -> "Corpus":
        """Read, split, tokenize and encode text files.

        With neither `valid`, `test` nor `split`, the tail of the training text is held
        out: 5% for validation and 5% for test, at most a million characters each. With
        `test` alone, 5% are held out for validation. With `valid` alone there is no
        test text.

        Args:
            train: a path or several: files, directories, "-" for standard input.
            valid: validation files.
            test: test files.
            tokenizer: "auto" (chosen from the text), "char", "word", "bpe",
                "unigram", or a `Tokenizer`, of a trained model for example.
            split: shares of the training files for training and validation, or for
                training, validation and test, such as (0.9, 0.1).
            encoding: the files' encoding.
            vocabulary_size: most tokens in the vocabulary.
            minimum_count: leave tokens out that are rarer in the training text.
            vocabulary_file: a file of words, one a line, to use as the vocabulary.
            segmenter: what finds words in text without spaces, such as "jieba".
            new_words: add to a given tokenizer the words, or characters, that it does
                not know and that stand this often in the training text.
            vectors: whether a model of it begins with word vectors: "auto" then takes
                words where the text has spaces between them.
            seed: for the sample that sub-word tokenizers are trained on.
            cache: folder of encoded texts; None for `$RNNLM_CACHE` or the user's own.
            processes: how many to encode with; None decides.
            progress: called with (characters done, characters in all), text by text.

        Raises:
            InputError: no text, too little text, text that cannot be decoded,
                arguments that contradict each other, no room in the cache.
        """
        given: Parts = {"train": find_files(train, encoding)}
        for name, paths in (("valid", valid), ("test", test)):
            if paths is not None:
                given[name] = find_files(paths, encoding)

        folder = None if cache is None else Path(cache)

        def encode(files: list[TextFile], using: Tokenizer) -> EncodedText:
            return encode_files(files, using, folder, progress, processes)

        return _build(
            given,
            split,
            tokenizer,
            encode,
            hold_out=True,
            vocabulary_size=vocabulary_size,
            minimum_count=1 if minimum_count is None else minimum_count,
            vocabulary_file=vocabulary_file,
            segmenter=segmenter,
            new_words=new_words,
            vectors=vectors,
            seed=seed,
            progress=progress,
        )

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        valid: Sequence[str] | None = None,
        test: Sequence[str] | None = None,
        *,
        tokenizer: str | Tokenizer = "auto",
        split: Sequence[float] | None = None,
        vocabulary_size: int | None = None,
        minimum_count: int | None = None,
        vocabulary_file: str | os.PathLike[str] | None = None,
        segmenter: str | None = None,
        new_words: int | None = None,
        seed: int = 0,
    ) -> "Corpus":
        r"""Make a corpus of strings, in memory. Each string is a line.

        Nothing is held out unless `valid`, `test` or `split` says so: two lines are
        enough to train on. A string that holds "\n" is several lines.

        Args:
            texts: the lines to train on.
            valid: lines for validation.
            test: lines for test.
            tokenizer: as in `from_files`.
            split: as in `from_files`, of `texts`.
            vocabulary_size: as in `from_files`.
            minimum_count: as in `from_files`.
            vocabulary_file: as in `from_files`.
            segmenter: as in `from_files`.
            new_words: as in `from_files`.
            seed: as in `from_files`.

        Raises:
            InputError: too little text, or arguments that contradict each other.
        """
        with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
            given = {
                name: [_written(lines, Path(folder), name)]
                for name, lines in (("train", texts), ("valid", valid), ("test", test))
                if lines is not None
            }

            def encode(files: list[TextFile], using: Tokenizer) -> EncodedText:
                text = encode_texts([file.read() for file in files], using)
                return replace(text, names=[file.name for file in files])

            return _build(
                given,
                split,
                tokenizer,
                encode,
                hold_out=False,
                vocabulary_size=vocabulary_size,
                minimum_count=1 if minimum_count is None else minimum_count,
                vocabulary_file=vocabulary_file,
                segmenter=segmenter,
                new_words=new_words,
                seed=seed,
                progress=None,
            )


def _build(
    given: Parts,
    split: Sequence[float] | None,
    tokenizer: str | Tokenizer,
    encode: Callable[[list[TextFile], Tokenizer], EncodedText],
    hold_out: bool,
    new_words: int | None,
    vectors: bool = False,
    **options: Any,
) -> Corpus:
    """Choose a tokenizer, split, train the tokenizer, encode, count."""
    notes: list[str] = []
    chosen = tokenizer == "auto"
    if isinstance(tokenizer, Tokenizer):
        kind = tokenizer.kind
    else:
        kind = _kind(tokenizer, given["train"], options, vectors, notes)
    if split is not None:
        files = split_parts(given, split, kind)
    elif hold_out:
        files = hold_out_parts(given, notes)
    else:
        files = given
    if not isinstance(tokenizer, Tokenizer):
        tokenizer = train_tokenizer(files["train"], kind=kind, **options)
    elif new_words is not None:
        known = tokenizer.vocabulary_size
        tokenizer = with_new_words(tokenizer, files["train"], new_words)
        what = "characters" if kind == "char" else "words"
        added = tokenizer.vocabulary_size - known
        notes.append(f"New {what} in the vocabulary: {added:,}, beside {known:,}.")
    texts = {name: encode(part, tokenizer) for name, part in files.items()}
    _check_enough(texts["train"], tokenizer, chosen)
    _check_held_out(texts)
    held_out = [name for name in texts if name != "train"]
    counts = shared_lines(files["train"], *(files[name] for name in held_out))
    shared = dict(zip(held_out, counts, strict=True))
    notes.extend(_shared_notes(shared, texts))
    notes.extend(_unknown_notes(texts))
    return Corpus(
        texts["train"],
        texts.get("valid"),
        texts.get("test"),
        tokenizer,
        shared,
        notes,
    )


def _kind(
    wanted: str,
    train: list[TextFile],
    options: dict[str, Any],
    vectors: bool,
    notes: list[str],
) -> str:
    """Return the kind of tokenizer to train, and say why if it was for us to choose."""
    if wanted != "auto":
        return wanted
    for option in ("vocabulary_file", "segmenter"):
        if options[option] is not None:
            notes.append(f"Words, because of {option}={options[option]}.")
            return "word"
    sample = sample_text(train, _SAMPLE_CHARACTERS, options["seed"])
    characters = sum(file.characters for file in train)
    kind, reason = choose_kind(sample, characters, vectors)
    notes.append(reason)
    return kind


def _written(lines: Sequence[str], folder: Path, name: str) -> TextFile:
    """Write lines to a temporary file, so that they are read like any other text."""
    if isinstance(lines, str) or not all(isinstance(line, str) for line in lines):
        raise InputError(
            f"Expected a list of strings as {NAMES[name]} text, each of them a line. "
            f"Received: {type(lines).__name__}. For files use Corpus.from_files."
        )
    if not any(lines):
        raise InputError(f"The {NAMES[name]} text is empty: give at least one line.")
    path = folder / f"{name}.txt"
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    try:
        path.write_bytes(text.encode())
    except UnicodeEncodeError as error:
        raise InputError(
            f"The {NAMES[name]} text has half a surrogate pair at character "
            f"{error.start}, which is no character. Mend how the text was decoded."
        ) from None
    return TextFile(path, name=f"{NAMES[name]} text")


def _check_held_out(texts: Mapping[str, EncodedText]) -> None:
    """Refuse validation and test texts that have nothing to predict."""
    for part, name in (("valid", "validation"), ("test", "test")):
        if part in texts and not texts[part].counts.tokens_predicted:
            raise InputError(
                f"Expected a {name} text with at least one token to predict, received "
                f"none in {', '.join(texts[part].names[:3])}. Give a longer text, or "
                f"--{part} FILE, or another --split."
            )


def _check_enough(train: EncodedText, tokenizer: Tokenizer, chosen: bool) -> None:
    """Refuse a text that there is nothing to learn from.

    Args:
        train: the training text.
        tokenizer: its tokenizer.
        chosen: whether the tokenizer was chosen for the user, who may not want the
            characters of a single word.
    """
    unit = {"char": "characters", "word": "words"}.get(tokenizer.kind, "tokens")
    kinds: set[int] = set()
    for start in range(0, len(train.ids), _BLOCK):
        kinds.update(np.unique(train.ids[start : start + _BLOCK]).tolist())
        kinds.discard(-1 if tokenizer.line_end_id is None else tokenizer.line_end_id)
        if len(kinds) >= 2:
            break
    found = len(kinds)
    if kinds == {tokenizer.unk_id}:
        raise InputError(
            f"No {unit[:-1]} of {', '.join(train.names[:3])} is in the vocabulary, so "
            f"there is nothing to learn. Give a vocabulary of {unit} as the text has "
            "them or, to adapt a model, --new-words 2."
        )
    if chosen and train.spaced and train.counts.words < 2:
        unit, found = "words", train.counts.words
    if found < 2:
        raise InputError(
            f"The training text is too short: expected at least two different {unit}, "
            f"found {found} in {', '.join(train.names[:3])}. Give more text."
        )


def _shared_notes(shared: dict[str, int], texts: dict[str, EncodedText]) -> list[str]:
    return [
        f"Lines of the {NAMES[name]} text that stand in the training text too: "
        f"{count:,} of {texts[name].counts.lines:,}. Its figures look better for that."
        for name, count in shared.items()
        if count
    ]


def _unknown_notes(texts: dict[str, EncodedText]) -> list[str]:
    return [
        f"Tokens of the {NAMES[name]} text that are not in the vocabulary: "
        f"{text.counts.oov:,} of {text.counts.tokens_predicted:,} "
        f"({text.counts.oov / text.counts.tokens_predicted:.2%})."
        for name, text in texts.items()
        if text.counts.oov
    ]
