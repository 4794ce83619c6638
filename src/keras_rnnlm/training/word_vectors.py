"""Word vectors that a run begins with, and for how long they stay as they are."""

import math
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.vector_coverage import coverage_of
from keras_rnnlm.data.vectors import WordVectors, read_vectors
from keras_rnnlm.data.vocabulary import token_counts
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.reporter import Reporter

NOT_FROZEN = -1.0


@dataclass(frozen=True)
class StartingVectors:
    """Word vectors of a run.

    Attributes:
        width: Of the embedding matrix.
        facts: What of the vocabulary and the training text has one; for the report.
        known: The vectors; None for a run that goes on, whose weights hold them.
    """

    width: int
    facts: dict[str, Any]
    known: WordVectors | None = None


def read_starting_vectors(
    settings: Settings, corpus: Corpus, reporter: Reporter, members: int = 1
) -> StartingVectors | None:
    """Read the word vectors that settings name, and say what they cover.

    Args:
        settings: Of the run.
        corpus: Its text.
        reporter: Told the coverage.
        members: Networks that take a step together.

    Returns:
        None if the settings name none.

    Raises:
        InputError: The file is unreadable, damaged, or has none of the words.
        ConfigError: A network of their width would not fit into memory.
    """
    if settings.vectors is None:
        return None
    known = read_vectors(
        settings.vectors,
        corpus.tokenizer,
        case=settings.vectors_case,
        normalize=settings.vectors_normalize,
    )
    size = corpus.vocabulary_size
    check_memory(settings, size, members, known.width, corpus.train)
    counts = token_counts(corpus.train.ids, corpus.vocabulary_size)
    coverage = coverage_of(known, corpus.tokenizer, counts)
    reporter.note(coverage.sentence())
    return StartingVectors(known.width, coverage.to_dict(), known)


def known_vectors(identity: dict[str, Any]) -> StartingVectors | None:
    """Return what the checkpoint of a run says of its word vectors.

    The file is not read again: it may be gone, and the weights hold its vectors.
    """
    facts = identity.get("vectors")
    return None if facts is None else StartingVectors(facts["width"], facts)


def frozen_steps(settings: Settings, batches_per_epoch: int) -> float:
    """Return the step after which the vectors are trained.

    Returns:
        `NOT_FROZEN` if they are from the beginning, infinite if never.
    """
    frozen = settings.vectors_frozen
    if settings.vectors is None or not frozen:
        return NOT_FROZEN
    if frozen is True:
        return math.inf
    return max(1, round(frozen * batches_per_epoch))
