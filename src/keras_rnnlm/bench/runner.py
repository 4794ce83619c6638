"""What a contestant is inside its process: it does work and takes the time."""

from abc import ABC, abstractmethod
from typing import Any


class Runner(ABC):
    """A model made ready for one task.

    Attributes:
        facts: What the results shall say of it, ready for JSON: `parameters`, `how` in
            a word or two, `settings` in full, and of ours the `loops` of the layers.
    """

    facts: dict[str, Any]

    @abstractmethod
    def run(self, units: int) -> tuple[int, float]:
        """Do `units` pieces of work and wait for their end.

        Args:
            units: Training steps, texts to score, or bursts of tokens to generate.

        Returns:
            Tokens done and the seconds they took.
        """
