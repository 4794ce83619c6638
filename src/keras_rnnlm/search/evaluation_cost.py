"""How much of a run's time goes into evaluation, before there is a network to ask."""

import math

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.scoring.protocols import protocol_for
from keras_rnnlm.search.cost import Cost
from keras_rnnlm.training.final_evaluation import protocol_of_run
from keras_rnnlm.training.validation import MOST_TOKENS

_ALONE = 6.0
"""Times as long as one of many side by side that a token of a single stream takes: a
product with one row reads all weights for it."""


def evaluation_seconds(corpus: Corpus, settings: Settings, cost: Cost) -> float:
    """Return about how long validations and the figures at the end take.

    Args:
        corpus: Its validation and test text are read.
        settings: Of the run.
        cost: Of a token on this machine.
    """
    each = cost.scoring_seconds(settings, corpus.vocabulary_size)
    protocol = protocol_of_run(corpus, settings)
    texts = {name: text for name, text in corpus.parts().items() if name != "train"}
    tokens = {name: text.counts.tokens_predicted for name, text in texts.items()}
    final = sum(
        tokens[name] * max(1.0, _ALONE / _streams(text, protocol))
        for name, text in texts.items()
    )
    validated = settings.validations * min(tokens.get("valid", 0), MOST_TOKENS)
    return each * (validated + final)


def _streams(text: EncodedText, protocol: str | None) -> float:
    """Return how many streams of a text are read side by side, about."""
    chosen = protocol_for(text, protocol)
    return max(1, len(text.starts)) if chosen.name == "carry" else math.inf
