"""The last figures of each member of an ensemble, and of all of them together."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.language_model import UNITS
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.experts import mix
from keras_rnnlm.scoring.report import (
    ScoredText,
    Totals,
    figures_of,
    finite,
    report_of,
    score_text,
)
from keras_rnnlm.training.final_evaluation import FinalEvaluation


class MembersEvaluation(FinalEvaluation):
    """Evaluates members one by one and keeps what is needed for their mean.

    The ensemble's probability of a token is the mean of the members'. So one pass of
    each member gives both its own figures and its part of the ensemble's.
    """

    def __init__(
        self,
        corpus: Corpus,
        settings: Settings,
        members: int,
        protocol: str | None = None,
    ) -> None:
        """Remember what to evaluate and how.

        Args:
            corpus: Holds the texts.
            settings: Of the first of them.
            members: How many there will be.
            protocol: As of `FinalEvaluation`.
        """
        super().__init__(corpus, settings, protocol)
        self._members = members
        self._scored: dict[str, list[ScoredText]] = {name: [] for name in self._texts}

    def estimated_seconds(self, network: CausalLM) -> float:
        """Measure how long the end of the run will take for all members, in seconds."""
        return self._members * super().estimated_seconds(network)

    def evaluate(
        self, network: CausalLM, check: Callable[..., None]
    ) -> dict[str, dict[str, Any] | None]:
        """Return the next member's reports; see `FinalEvaluation.evaluate`."""
        figures: dict[str, dict[str, Any] | None] = {"valid": None, "test": None}
        token = UNITS[self._corpus.tokenizer.kind]
        for name, text in self._texts.items():
            scored = score_text(network, text, self._protocol, progress=check)
            self._scored[name].append(scored)
            figures[name] = report_of(scored, text, token).to_dict()
        return figures

    def together(self) -> dict[str, dict[str, Any] | None]:
        """Return the figures of the mean of all members' probabilities, by text.

        They are those of a report but the accuracy: of a mean, the likeliest token is
        not known from what the members say of the targets.
        """
        figures: dict[str, dict[str, Any] | None] = {"valid": None, "test": None}
        for name, text in self._texts.items():
            members = self._scored[name]
            logs = [-np.asarray(m.scores.nats, np.float64) for m in members]
            mixed = mix(logs, [1 / len(members)] * len(members))
            first = members[0]
            totals = Totals.of(-mixed, text, first.starts, first.stops)
            figures[name] = {
                "protocol": str(first.protocol),
                "token": UNITS[self._corpus.tokenizer.kind],
                **finite(figures_of(totals, text)),
                "seconds": sum(member.seconds for member in members),
            }
        return figures
