"""Training byte-pair and unigram models of sub-word pieces on a sample of a text."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from keras_rnnlm.data.piece_tokenizer import (
    PieceTokenizer,
    byte_symbols,
    chunks_of_lines,
)
from keras_rnnlm.data.samples import sample_text
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.data.unigram_training import train_unigram
from keras_rnnlm.data.vocabulary import Progress
from keras_rnnlm.errors import InputError

if TYPE_CHECKING:
    import tokenizers

SAMPLE_CHARACTERS = 20_000_000
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
        files: the training text; a sample of at most 20,000,000 characters is used.
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
    sample = sample_text(files, SAMPLE_CHARACTERS, seed)
    size = vocabulary_size or default_size(sum(file.characters for file in files))
    chunks = _chunks(sample, progress)
    library = _byte_pairs(chunks, size) if kind == "bpe" else _unigrams(chunks, size)
    return PieceTokenizer(kind, str(library.to_str()))


def default_size(characters: int) -> int:
    """Return a vocabulary size for a text: 2 * sqrt(characters), from 1,024 to 16,384.

    The larger the text, the more pieces are seen often enough to be learnt.
    """
    return min(max(2 * math.isqrt(characters), 1024), 16384)


def _byte_pairs(chunks: Iterable[str], size: int) -> "tokenizers.Tokenizer":
    """Train byte pairs with the library."""
    from tokenizers import models, pre_tokenizers, trainers

    library = _pipeline(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    library.train_from_iterator(chunks, trainer)
    return library


def _unigrams(chunks: Iterable[str], size: int) -> "tokenizers.Tokenizer":
    """Train unigram pieces, and give them to the library."""
    from tokenizers import models

    split = _pipeline(models.BPE()).pre_tokenizer.pre_tokenize_str
    counts: Counter[str] = Counter()
    for chunk in chunks:
        counts.update(chunk[start:stop] for _, (start, stop) in split(chunk))
    symbols = byte_symbols()
    pieces = [
        ("".join(symbols[byte] for byte in piece), score)
        for piece, score in train_unigram(counts, size)
    ]
    return _pipeline(models.Unigram(pieces))


def _pipeline(model: "tokenizers.models.Model") -> "tokenizers.Tokenizer":
    """Put byte symbols around a model; line ends are pieces of their own."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers

    library = Tokenizer(model)
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    library.decoder = decoders.ByteLevel()
    return library


def _chunks(sample: str, progress: Progress | None) -> Iterator[str]:
    """Yield the sample in chunks of lines, telling how much has been taken."""
    done = 0
    for chunk in chunks_of_lines(sample):
        yield chunk
        done += len(chunk)
        if progress:
            progress(done, len(sample))
