"""Scores of n-best lists: the hypotheses of many utterances, common prefixes once."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.scoring.lines import EncodedLine, LineScore
from keras_rnnlm.scoring.nbest_scorer import score_lists


def score_nbest(
    network: keras.Model, tokenizer: Tokenizer, lists: Iterable[Sequence[str]]
) -> Iterator[list[LineScore]]:
    """Score the hypotheses of each list, in order and in bounded memory.

    A hypothesis gets the score that `score_lines` gives it as a line.

    Args:
        network: An `RNNLM`.
        tokenizer: Its tokenizer.
        lists: For each utterance its hypotheses, as lines of text. A list may be
            empty; so may a hypothesis, and hypotheses may be equal.

    Yields:
        The scores of each list.

    Raises:
        InputError: If a probability is not a number.
    """
    waiting: deque[list[EncodedLine]] = deque()

    def encoded() -> Iterator[list[NDArray[np.int32]]]:
        for hypotheses in lists:
            lines = [
                EncodedLine.of(text.removesuffix("\n"), tokenizer)
                for text in hypotheses
            ]
            waiting.append(lines)
            yield [line.ids for line in lines]

    for nats in score_lists(network, encoded()):
        lines = waiting.popleft()
        yield [
            line.scored(tokenizer, one) for line, one in zip(lines, nats, strict=True)
        ]
