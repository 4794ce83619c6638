r"""ARPA files: the text form of n-gram models that every toolkit reads.

    \data\
    ngram 1=4
    ngram 2=2

    \1-grams:
    -99	<s>	-0.30103
    -0.60206	the	-0.1
    ...
    \end\

A line has the base-10 logarithm of a probability, the words, and the base-10 logarithm
of the weight of shorter contexts after them; the last is left out for the longest
n-grams. -99 stands for a probability of 0. How tokens are written stands in
`arpa_words.py`; `arpa_reader.py` reads.

A model whose context runs on through line ends (see `histories.py`) has no sentence
ends. Its file has `<s>`, which stands before each text, and `</s>` only because others
ask for it, with a probability of 0: by that it is known when it is read again. KenLM
scores a text of it as one line of tokens, without the end: `score(line, eos=False)`.
"""

import gzip
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.arpa_reader import ArpaReader, Read
from keras_rnnlm.scoring.arpa_words import END, written_words
from keras_rnnlm.scoring.ngram_tables import NGramTable

_LOG10 = math.log(10)
_ZERO = -99.0  # the logarithm of a probability of 0
_BLOCK = 1 << 16


def write_arpa(
    path: str | os.PathLike[str],
    tables: Sequence[NGramTable],
    tokenizer: Tokenizer,
    sentence_end: int | None,
) -> None:
    """Write the tables of a model; a file that stands there is replaced at the end.

    Args:
        path: Where to; compressed if it ends in `.gz`.
        tables: Unigrams, bigrams and so on, over the ids and the start behind them.
        tokenizer: What the ids mean.
        sentence_end: The id that ends a sentence, None for a stream.

    Raises:
        InputError: If the tokenizer has another number of ids, or two of its tokens
            would be written the same.
        OSError: If the file cannot be written.
    """
    if tokenizer.vocabulary_size + 1 != len(tables[0]):
        raise InputError(
            f"Expected a tokenizer with {len(tables[0]) - 1} ids, those of the n-gram "
            f"model, received one with {tokenizer.vocabulary_size}. Give the "
            "tokenizer that its text was encoded with."
        )
    words = np.array(written_words(tokenizer, sentence_end), object)
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(partial, "wt", encoding="utf-8", newline="\n") as stream:
            for piece in _pieces(tables, words, sentence_end is None):
                stream.write(piece)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_arpa(path: str | os.PathLike[str], tokenizer: Tokenizer) -> Read:
    r"""Read a model over the ids of a tokenizer, from a file of any toolkit.

    Words that the tokenizer lacks are left out with all n-grams they are in: what
    probability they had is nobody's. Tokens that the file lacks share the probability
    of its `<unk>` evenly with `<unk>` itself. So the sum over the vocabulary is at
    most one, and one if both have the same words.

    Sentences of the file are lines: `</s>` is the tokenizer's line end, "\n" for
    characters. The context runs on through line ends if `</s>` has the probability 0
    or the line end is a word of the file, `\x0a` for characters.

    Args:
        path: The file; it may be compressed with gzip.
        tokenizer: Whose ids the model is to speak of.

    Raises:
        InputError: If the file cannot be read, is not well formed (with the number of
            the line), or has no word in common with the tokenizer.
    """
    return ArpaReader(Path(path), tokenizer).read()


def _pieces(
    tables: Sequence[NGramTable],
    words: "np.ndarray[tuple[int], np.dtype[np.object_]]",
    stream: bool,
) -> Iterator[str]:
    """Yield the text of a file, some lines at a time."""
    yield "# Written by keras-rnnlm. \\xHH is the character with that code.\n"
    yield "\\data\\\n"
    for n, table in enumerate(tables, 1):
        yield f"ngram {n}={len(table) + int(stream and n == 1)}\n"
    base = len(tables[0])
    for n, table in enumerate(tables, 1):
        yield f"\n\\{n}-grams:\n"
        if stream and n == 1:
            yield f"{_ZERO:g}\t{END}\n"
        longest = n == len(tables)
        line = f"%.8g\t{' '.join(['%s'] * n)}" + ("\n" if longest else "\t%.8g\n")
        for begin in range(0, len(table), _BLOCK):
            rows = np.arange(begin, min(begin + _BLOCK, len(table)))
            # A probability of 1 can come out of its logarithm a rounding above 0.
            logs = np.minimum(table.log_probabilities[rows] / _LOG10, 0.0)
            columns = [np.maximum(logs, _ZERO).tolist()]
            places = rows
            spelt = []
            for shorter in reversed(tables[1:n]):
                places, symbols = np.divmod(shorter.keys[places], base)
                spelt.append(words[symbols].tolist())
            spelt.append(words[places].tolist())
            columns.extend(reversed(spelt))
            if not longest:
                columns.append((table.log_backoffs[rows] / _LOG10).tolist())
            yield "".join(map(line.__mod__, zip(*columns, strict=True)))
    yield "\n\\end\\\n"
