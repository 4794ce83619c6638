"""The last figures of a run, and the time they will take."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.protocols import default_protocol, parse_protocol, segments
from keras_rnnlm.scoring.scorer import score_segments

_TRIAL = 1024  # targets scored to learn the speed
_WRITING = 6.0  # seconds for the picture, the files, the end of the process


class FinalEvaluation:
    """Evaluates validation and test text under the protocol stored with the model."""

    def __init__(self, corpus: Corpus, protocol: str | None) -> None:
        """Remember what to evaluate and how; `None` chooses by the size of the text."""
        self._corpus = corpus
        self._protocol = protocol
        self._texts = {n: t for n, t in corpus.parts().items() if n != "train"}

    def estimated_seconds(self, network: CausalLM) -> float:
        """Measure how long the end of the run will take, in seconds, with a margin.

        Scores the beginning of each text twice, the first time to compile.
        """
        total = _WRITING
        for text in self._texts.values():
            chosen = (
                default_protocol(text)
                if self._protocol is None
                else parse_protocol(self._protocol)
            )
            starts, stops = segments(text, chosen)
            # As many rows as the real thing will have, and a little of each.
            rows = min(len(starts), 64)
            some = starts[:rows]
            each = max(1, _TRIAL // rows)
            ends = np.minimum(some + each, stops[:rows])
            begun = time.monotonic()
            score_segments(network, text.ids, some, ends)
            compiled = time.monotonic()
            score_segments(network, text.ids, some, ends)
            seconds = time.monotonic() - compiled
            scored = int((ends - some).sum())
            everything = int((stops - starts).sum())
            total += compiled - begun + 1.15 * seconds * everything / scored
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
