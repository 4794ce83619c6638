"""The training loop of one member of an ensemble, and what keeps the members in step.

Each member has a `TrainingLoop` of its own, which steers, logs, validates and keeps it
as if it were trained alone. What must not differ between them is decided once a step:
whether the time is over, whether a signal has come, whether a checkpoint is due.
"""

from typing import TYPE_CHECKING, Any

from keras_rnnlm.errors import TrainingError
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.training.checkpoints import Checkpoint
from keras_rnnlm.training.loop import TrainingLoop
from keras_rnnlm.training.schedules import ClockPace

if TYPE_CHECKING:
    from keras_rnnlm.training.jax_members import Members


class MemberLoop(TrainingLoop):
    """A loop whose model is one of several that are stepped together."""

    def __init__(
        self, members: "Members", index: int, *args: Any, **kwargs: Any
    ) -> None:
        """Set up the run of a member.

        Args:
            members: All of them.
            index: Of this one, from 0.
            *args: As of `TrainingLoop`.
            **kwargs: As of `TrainingLoop`.
        """
        super().__init__(*args, **kwargs)
        self._members, self._index = members, index
        self.set_learning_rate = members.rate_setter(index)
        self._known = 0

    def resume(self, checkpoint: Checkpoint) -> None:
        """See `TrainingLoop.resume`."""
        super().resume(checkpoint)
        self._known = len(self._figures)

    def _not_a_number(self, what: str, step: int) -> TrainingError:
        return super()._not_a_number(f"{what} of member {self._index + 1}", step)

    @property
    def model(self) -> CausalLM:
        """The network, with this member's values in its variables."""
        return self._members.opened(self._index)

    def has_validated(self) -> bool:
        """Whether this member was validated since `leave_out_until_now`."""
        return len(self._figures) > self._known

    def leave_out_until_now(self) -> None:
        """Leave the time that went into validating members out of the speed."""
        self._known = len(self._figures)
        self._speed.pause(self.clock())


class CommonPace(ClockPace):
    """A time budget that several loops share: asked by each, decided once a step."""

    def __init__(self, deadline: float, shapes: int = 1) -> None:
        """Create a pace that reaches progress 1 at `deadline` seconds.

        Args:
            deadline: In seconds of running time.
            shapes: As of `ClockPace`.
        """
        super().__init__(deadline, shapes=shapes)
        self._observed: int | None = None
        self._answers: dict[str, tuple[int, bool]] = {}

    def observe(self, step: int, now: float, reserved: float = 0.0) -> None:
        """See `ClockPace.observe`."""
        if step != self._observed:
            self._observed = step
            super().observe(step, now, reserved)

    def has(self, step: int, now: float, seconds: float) -> bool:
        """Return what the first to ask in this step was told."""
        return self._once("has", step, super().has(step, now, seconds))

    def finished(self, step: int, now: float) -> bool:
        """Return what the first to ask in this step was told."""
        return self._once("finished", step, super().finished(step, now))

    def _once(self, question: str, step: int, answer: bool) -> bool:
        known = self._answers.get(question)
        if known is None or known[0] != step:
            known = self._answers[question] = step, answer
        return known[1]
