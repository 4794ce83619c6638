"""Word vectors of one's own text, trained by gensim: word2vec or fastText."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.blocks import last_cut_anywhere, safe_blocks
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.data.tokenizer_base import EOS, UNK
from keras_rnnlm.data.vector_words import file_word
from keras_rnnlm.data.word_tokenizer import WordTokenizer
from keras_rnnlm.errors import InputError

ALGORITHMS = ("word2vec", "fasttext")
ARCHITECTURES = ("skip-gram", "cbow")
_LONGEST = 10_000  # gensim leaves out what follows in a sentence, without a word
_PARTS = 20  # of a word, about
_MOST_PARTS = 2_000_000


@dataclass(frozen=True, eq=False)
class TrainedVectors:
    """What training has made.

    Attributes:
        words: As files of vectors write them, the most frequent first.
        matrix: Their vectors, float32 (words, width).
        tokens: Words of the text, line ends included.
    """

    words: list[str]
    matrix: NDArray[np.float32]
    tokens: int


def train_vectors(
    files: Sequence[TextFile],
    *,
    algorithm: str = "word2vec",
    architecture: str = "skip-gram",
    dimensions: int = 100,
    window: int = 5,
    minimum_count: int = 5,
    epochs: int = 5,
    seed: int = 0,
    workers: int = 1,
    tokenizer: str = "word",
    segmenter: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrainedVectors:
    """Train word vectors on text of any size.

    A line is a sentence, and its end a word of it (`<eos>`), which a language model
    wants a vector for too. With one worker the same seed gives the same vectors.

    Args:
        files: The text; read `epochs` + 1 times.
        algorithm: `word2vec` (Mikolov et al. 2013) or `fasttext` (Bojanowski et al.
            2017), whose words share the vectors of their parts.
        architecture: `skip-gram` or `cbow`.
        dimensions: Width of the vectors.
        window: Most words between a word and those it is trained on.
        minimum_count: Rarer words get no vector.
        epochs: Passes over the text.
        seed: Of the initial vectors and all chance.
        workers: Threads; with more than one the result depends on their timing.
        tokenizer: `word` or `char`.
        segmenter: "jieba" finds the words of Chinese text.
        progress: Called with passes done and passes in all.

    Raises:
        InputError: gensim is not installed, or no word is frequent enough.
    """
    for name, value, choices in (
        ("algorithm", algorithm, ALGORITHMS),
        ("architecture", architecture, ARCHITECTURES),
        ("tokenizer", tokenizer, ("word", "char")),
    ):
        if value not in choices:
            raise InputError(
                f"Expected {name} to be {' or '.join(choices)}; received '{value}'."
            )
    kinds = _gensim()
    sentences = _Sentences(files, tokenizer, segmenter)
    counts: Counter[str] = Counter()
    number = 0
    for sentence in sentences:
        counts.update(sentence)
        number += 1
    frequent = sum(count >= minimum_count for count in counts.values())
    if frequent < 2:
        raise InputError(
            f"Expected two different words or more that come {minimum_count} times, "
            f"found {frequent}. Give more text or a smaller --minimum-count."
        )
    own: dict[str, int] = {}
    if algorithm == "fasttext":
        # As much room for parts of words as there may be, not always gensim's 0.8 GB.
        own["bucket"] = min(_MOST_PARTS, _PARTS * frequent)
    model = kinds[algorithm](
        vector_size=dimensions,
        window=window,
        min_count=minimum_count,
        sg=int(architecture == "skip-gram"),
        seed=seed,
        workers=workers,
        epochs=epochs,
        **own,
    )
    model.build_vocab_from_freq(counts, corpus_count=number)
    model.train(
        corpus_iterable=_Told(sentences, epochs, progress),
        total_examples=number,
        total_words=counts.total(),
        epochs=epochs,
    )
    words = list(model.wv.index_to_key)
    matrix = np.array(model.wv.vectors, np.float32)
    if not np.isfinite(matrix).all():
        raise InputError(
            "The vectors have grown beyond all numbers: train with fewer epochs."
        )
    return TrainedVectors(words, matrix, counts.total())


class _Sentences:
    """The lines of some files as lists of words, as often as one iterates."""

    def __init__(
        self, files: Sequence[TextFile], tokenizer: str, segmenter: str | None
    ) -> None:
        self._files = files
        self._words: WordTokenizer | None = None
        if tokenizer == "word":
            self._words = WordTokenizer((), False, segmenter)

    def __iter__(self) -> Iterator[list[str]]:
        for file in self._files:
            yield from _cut(self._tokens(file))

    def _tokens(self, file: TextFile) -> Iterator[str]:
        if self._words is None:
            for block in safe_blocks(file, last_cut=last_cut_anywhere):
                yield from map(file_word, block)
            return
        last = EOS
        for block in safe_blocks(file, last_cut=self._words.last_cut):
            for last in self._words.words(block):
                # Like the language model: a literal <eos> is some unknown word.
                yield UNK if last == _LITERAL else file_word(last)
        if last != EOS:
            yield EOS


_LITERAL = "\ufdd0"
_ENDS = frozenset((EOS, file_word("\n")))


def _cut(tokens: Iterator[str]) -> Iterator[list[str]]:
    """Cut tokens behind line ends, and longer lines somewhere."""
    sentence: list[str] = []
    for token in tokens:
        sentence.append(token)
        if token in _ENDS or len(sentence) == _LONGEST:
            if len(sentence) > 1:
                yield sentence
            sentence = []
    if len(sentence) > 1:
        yield sentence


class _Told:
    """Sentences that tell how many passes over them have been made."""

    def __init__(
        self,
        sentences: _Sentences,
        epochs: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._sentences, self._epochs, self._progress = sentences, epochs, progress
        self._passes = 0

    def __iter__(self) -> Iterator[list[str]]:
        yield from self._sentences
        self._passes += 1
        if self._progress is not None:
            self._progress(self._passes, self._epochs)


def _gensim() -> dict[str, Any]:
    try:
        from gensim.models import FastText, Word2Vec
    except ImportError:
        raise InputError(
            "Training word vectors needs gensim, which is not installed. Run: pip "
            "install 'keras-rnnlm[vectors]'."
        ) from None
    logging.getLogger("gensim").setLevel(logging.ERROR)
    return {"word2vec": Word2Vec, "fasttext": FastText}
