"""What several runs that are stepped together tell, told as one."""

import math
from typing import Any

from keras_rnnlm.training.reporter import Reporter, SilentReporter


class MembersReporter:
    """Gathers what the loops of all members tell in a step; `flush` passes it on."""

    def __init__(self, reporter: Reporter, members: int) -> None:
        """Tell `reporter` the means over members, and what each of them reached."""
        self._reporter = reporter
        self._steps: dict[int, tuple[Any, ...]] = {}
        self._told = False
        self._validations: dict[int, tuple[int, float, float]] = {}
        self._best = math.inf
        self.parts = [MemberReporter(self, member) for member in range(members)]

    def take_step(self, member: int, event: tuple[Any, ...]) -> None:
        """Take a member's `Reporter.step`."""
        self._steps[member] = event
        self._told = True

    def take_validation(self, member: int, event: tuple[int, float, float]) -> None:
        """Take a member's validation: step, nats a token, perplexity."""
        self._validations[member] = event

    def note(self, member: int, sentence: str) -> None:
        """Pass on a member's note with its name."""
        self._reporter.note(f"Member {member + 1}: {sentence}")

    def flush(self, running: set[int]) -> None:
        """Tell what was taken since the last time.

        Args:
            running: The members that are being trained.
        """
        if self._told:
            # All of a step but loss and speed is the same for all; the newest is told.
            events = [event for m, event in self._steps.items() if m in running]
            step, _, _, progress, left, rate = max(events, key=lambda event: event[0])
            losses = [event[1] for event in events if math.isfinite(event[1])]
            loss = sum(losses) / len(losses) if losses else math.nan
            speed = sum(event[2] for event in events)
            self._reporter.step(step, loss, speed, progress, left, rate)
            self._told = False
        if self._validations:
            step = next(iter(self._validations.values()))[0]
            nats = [found[1] for found in self._validations.values()]
            mean = sum(nats) / len(nats)
            best, self._best = mean < self._best, min(mean, self._best)
            perplexity = math.exp(mean) if mean < 700 else math.inf
            self._reporter.validation(step, mean, perplexity, best)
            each = ", ".join(
                f"{found[2]:.2f}" for _, found in sorted(self._validations.items())
            )
            self._reporter.note(f"  is the mean of the members; one by one: {each}")
            self._validations.clear()


class MemberReporter(SilentReporter):
    """The reporter of one member's loop."""

    def __init__(self, whole: MembersReporter, member: int) -> None:
        """Hand over to `whole` what the member's loop tells."""
        self._whole, self._member = whole, member

    def step(
        self,
        step: int,
        loss: float,
        tokens_per_second: float,
        progress: float,
        seconds_left: float | None,
        learning_rate: float,
    ) -> None:
        """Hand over."""
        event = (step, loss, tokens_per_second, progress, seconds_left, learning_rate)
        self._whole.take_step(self._member, event)

    def validation(
        self, step: int, nats_per_token: float, perplexity: float, best: bool
    ) -> None:
        """Hand over."""
        self._whole.take_validation(self._member, (step, nats_per_token, perplexity))

    def note(self, sentence: str) -> None:
        """Hand over."""
        self._whole.note(self._member, sentence)
