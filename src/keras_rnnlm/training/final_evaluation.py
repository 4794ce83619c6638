"""The last figures of a run, and the time they will take."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.protocols import (
    DEFAULT_LANES,
    Protocol,
    default_protocol,
    protocol_for,
    segments,
)
from keras_rnnlm.training.scoring_speed import scoring_time

_WRITING = 3.0  # seconds for the picture, the files, the end of the process
_WRITTEN = 2e8  # bytes of weights hashed and written in a second
CARRIED_IN_A_MINUTE = 200_000
"""Most predictions of single streams at the end of a timed run, for each minute."""


def protocol_of_run(corpus: Corpus, settings: Settings) -> str | None:
    """Return the protocol of a run's last figures; None chooses by the size of a text.

    That of the settings; where they have none and the run has to end at a time, texts
    that are long for that are read in lanes in the place of one stream each. It is the
    same for all networks, so that figures of like runs can be compared.
    """
    given = settings.evaluation_protocol
    if given is not None or settings.minutes is None:
        return given
    carried = [
        int(np.max(text.stops - text.starts, initial=0))
        for name, text in corpus.parts().items()
        if name != "train" and default_protocol(text).name == "carry"
    ]
    if sum(carried) > CARRIED_IN_A_MINUTE * settings.minutes:
        return str(Protocol("lanes", DEFAULT_LANES))
    return None


class FinalEvaluation:
    """Evaluates validation and test text under the protocol of the run."""

    def __init__(
        self, corpus: Corpus, settings: Settings, protocol: str | None = None
    ) -> None:
        """Remember what to evaluate and how.

        Args:
            corpus: Holds the texts.
            settings: Of the run.
            protocol: What the run that it repeats was evaluated under, if it repeats
                one; by default that of `protocol_of_run`.
        """
        self._corpus = corpus
        self._protocol = protocol or protocol_of_run(corpus, settings)
        self._texts = {n: t for n, t in corpus.parts().items() if n != "train"}

    def estimated_seconds(self, network: CausalLM) -> float:
        """Measure how long the end of the run will take, in seconds, with a margin.

        Args:
            network: Of the shape and precision that will be evaluated.
        """
        total: float = _WRITING + 4 * network.count_params() / _WRITTEN
        for text in self._texts.values():
            chosen = protocol_for(text, self._protocol)
            found = scoring_time(network, text.ids, *segments(text, chosen))
            total += found.compilation + found.seconds
        return total

    def evaluate(
        self, network: CausalLM, check: Callable[..., None]
    ) -> dict[str, dict[str, Any] | None]:
        """Return the reports of validation and test text by name.

        Args:
            network: The trained model in float32.
            check: Called as it goes on; may raise to stop it.
        """
        model = LanguageModel(network, self._corpus.tokenizer, self._protocol)
        figures: dict[str, dict[str, Any] | None] = {"valid": None, "test": None}
        for name, text in self._texts.items():
            figures[name] = model.evaluate(text, progress=check).to_dict()
        return figures
