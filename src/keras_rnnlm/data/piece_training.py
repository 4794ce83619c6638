"""Training byte-pair and unigram models of sub-word pieces on a sample of a text."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from keras_rnnlm.data.piece_tokenizer import PieceTokenizer
from keras_rnnlm.data.samples import sample_text
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.data.vocabulary import Progress
from keras_rnnlm.errors import InputError

if TYPE_CHECKING:
    import tokenizers

SAMPLE_CHARACTERS = {"bpe": 20_000_000, "unigram": 2_000_000}
_BYTES = 256


def train_pieces(
    files: Sequence[TextFile],
    kind: str,
    vocabulary_size: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PieceTokenizer:
    """Find the pieces of a text.

    Args:
        files: the training text; a sample of at most 20,000,000 characters (unigram:
            2,000,000) is used.
        kind: "bpe" (Sennrich et al. 2016, on bytes) or "unigram" (Kudo 2018, on bytes).
        vocabulary_size: pieces wanted, the 256 bytes among them. A short text gives
            fewer. By default `default_size` of the text.
        seed: of the sample.
        progress: called with characters done and characters of the sample.

    Raises:
        InputError: a vocabulary of fewer than 257 pieces.
    """
    if vocabulary_size is not None and vocabulary_size <= _BYTES:
        raise InputError(
            f"Expected vocabulary_size above {_BYTES} (one piece a byte) for {kind}, "
            f"received {vocabulary_size}."
        )
    sample = sample_text(files, SAMPLE_CHARACTERS[kind], seed)
    size = vocabulary_size or default_size(sum(file.characters for file in files))
    library = _untrained(kind)
    library.train_from_iterator(_lines(sample, progress), _trainer(kind, size))
    text = str(library.to_str())
    return PieceTokenizer(kind, _canonical(text) if kind == "unigram" else text)


def default_size(characters: int) -> int:
    """Return a vocabulary size for a text: 2 * sqrt(characters), from 1,024 to 16,384.

    The larger the text, the more pieces are seen often enough to be learnt.
    """
    return min(max(2 * math.isqrt(characters), 1024), 16384)


def _untrained(kind: str) -> "tokenizers.Tokenizer":
    """Return the pipeline around an empty model; line ends are pieces of their own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    library = Tokenizer(models.BPE() if kind == "bpe" else models.Unigram())
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    library.decoder = decoders.ByteLevel()
    return library


def _trainer(kind: str, size: int) -> "tokenizers.trainers.Trainer":
    """Return the library's trainer for the kind."""
    from tokenizers import pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if kind == "bpe":
        return trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=alphabet, show_progress=False
        )
    return trainers.UnigramTrainer(
        vocab_size=size,
        initial_alphabet=alphabet,
        special_tokens=[],
        show_progress=False,
    )


def _lines(sample: str, progress: Progress | None) -> Iterator[str]:
    """Yield the lines of the sample with their line ends."""
    start = 0
    while start < len(sample):
        stop = sample.find("\n", start) + 1 or len(sample)
        yield sample[start:stop]
        start = stop
        if progress:
            progress(start, len(sample))


def _canonical(text: str) -> str:
    """Give a unigram model's pieces an order and scores that every run agrees on.

    The library adds up in an order that changes from run to run: its scores differ in
    the last digits, and so does the order of equal ones.
    """
    data = json.loads(text)
    scored = [(round(score, 6), piece) for piece, score in data["model"]["vocab"]]
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    data["model"]["vocab"] = [[piece, score] for score, piece in scored]
    return json.dumps(data)
