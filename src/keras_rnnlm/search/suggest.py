"""Settings for a text, a machine and a time, each with its reason.

The text is counted, the machine is measured by training on that very text for some
seconds, and the rest is arithmetic by `rules`, which come from our own sweeps
(`docs/choosing.md`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.text_facts import TextFacts, text_facts
from keras_rnnlm.search import rules
from keras_rnnlm.search.cost import Cost, measure_cost
from keras_rnnlm.training.range_test import RangeTest, range_test


@dataclass(frozen=True)
class Choice:
    """Settings that were chosen together, and why.

    Attributes:
        settings: Names and values.
        reason: One sentence.
    """

    settings: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class Suggestion:
    """A recipe with its reasons.

    Attributes:
        settings: The recipe.
        choices: What it is made of, in the order in which it was chosen.
        facts: The text.
        cost: The machine.
        tokens: Tokens that training will see.
        range_test: The range test, where one was asked for.
    """

    settings: Settings
    choices: tuple[Choice, ...]
    facts: TextFacts
    cost: Cost
    tokens: float
    range_test: RangeTest | None = None

    @property
    def passes(self) -> float:
        """Passes over the training text."""
        return self.tokens / self.facts.tokens

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        ranged = self.range_test
        return {
            "settings": self.settings.to_dict(),
            "choices": [
                {"settings": dict(each.settings), "reason": each.reason}
                for each in self.choices
            ],
            "text": self.facts.to_dict(),
            "machine": self.cost.to_dict(),
            "tokens": round(self.tokens),
            "passes": self.passes,
            "range_test": None if ranged is None else ranged.to_dict(),
        }
