"""What training tells as it goes on; printing is somebody else's work."""

from typing import Any, Protocol


class Reporter(Protocol):
    """Receives the events of a run. `step` comes at most about four times a second."""

    def start(self, summary: dict[str, Any]) -> None:
        """The run begins: model, device, budget, where it resumes."""

    def step(
        self,
        step: int,
        loss: float,
        tokens_per_second: float,
        progress: float,
        seconds_left: float | None,
        learning_rate: float,
    ) -> None:
        """Steps were taken; `loss` is the recent mean, nats a token."""

    def validation(
        self, step: int, nats_per_token: float, perplexity: float, best: bool
    ) -> None:
        """The model was validated."""

    def note(self, sentence: str) -> None:
        """Something worth knowing happened."""

    def finish(self, report: dict[str, Any]) -> None:
        """The run ended; `report` is what `report.json` holds."""


class SilentReporter:
    """A reporter that says nothing."""

    def start(self, summary: dict[str, Any]) -> None:
        """Ignore."""

    def step(
        self,
        step: int,
        loss: float,
        tokens_per_second: float,
        progress: float,
        seconds_left: float | None,
        learning_rate: float,
    ) -> None:
        """Ignore."""

    def validation(
        self, step: int, nats_per_token: float, perplexity: float, best: bool
    ) -> None:
        """Ignore."""

    def note(self, sentence: str) -> None:
        """Ignore."""

    def finish(self, report: dict[str, Any]) -> None:
        """Ignore."""
