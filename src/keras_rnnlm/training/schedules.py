"""Learning rates over the progress of a run, and progress over its steps.

Progress runs from 0 to 1. The rate is a function of progress alone; how fast progress
goes is the business of a pace: by steps when their number is known, by the clock under
a time budget. A pace by the clock is kept as knots, straight lines of progress over
steps, so that a finished run can be repeated step by step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from keras_rnnlm.config import Settings

_LONG, _LONGER = 0.25, 8.0
"""Seconds, and times the quickest one, above which a step has compiled."""
_STRETCH = 0.02
"""Progress after which speed is measured anew, and most of one step at first."""
START = 0.04
"""Rate at the start of a warm-up, as a share of the peak (Smith & Topin 2019: 1/25)."""


def learning_rate(settings: Settings, progress: float, decays: int = 0) -> float:
    """Return the learning rate at a progress in [0, 1].

    The rate rises over the share `warmup` of the run, linearly (`one_cycle`: along a
    half cosine), then falls to `final_learning_rate` times the peak: linearly, along a
    half cosine (`cosine`, `one_cycle`), along several (`warm_restarts`: SGDR,
    Loshchilov & Hutter 2017), by `plateau_factor` at each of `decays` (`plateau`), or
    not at all (`constant`). A run with `finetune` does all this twice, the second time
    with `finetune_learning_rate` times the peak.
    """
    peak, final = settings.learning_rate, settings.final_learning_rate
    progress = min(max(progress, 0.0), 1.0)
    if settings.finetune > 0:
        first, second = 1.0 - settings.finetune, settings.finetune
        if 1.0 - progress > second:
            progress /= first
        else:
            progress = max(progress - first, 0.0) / second
            peak *= settings.finetune_learning_rate
    if progress < settings.warmup:
        risen = progress / settings.warmup
        if settings.schedule == "one_cycle":
            risen = _half_cosine(risen)
        return peak * (START + (1.0 - START) * risen)
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "plateau":
        return peak * max(settings.plateau_factor**decays, final)
    left = 1.0 - settings.warmup
    fallen = (progress - settings.warmup) / left if left > 0 else 1.0
    if settings.schedule == "warm_restarts":
        fallen = _in_cycle(fallen, settings.cycles, settings.cycle_growth)
    if settings.schedule != "linear":
        fallen = _half_cosine(fallen)
    return peak * (1.0 - (1.0 - final) * fallen)


def _in_cycle(x: float, cycles: int, growth: float) -> float:
    """How far x in [0, 1] is in its cycle, each cycle `growth` times the last."""
    lengths = [growth**i for i in range(cycles)]
    x *= sum(lengths)
    for length in lengths[:-1]:
        if x < length:
            return x / length
        x -= length
    return min(x / lengths[-1], 1.0)


def _half_cosine(x: float) -> float:
    return 0.5 * (1.0 - math.cos(math.pi * x))


@dataclass(frozen=True)
class Knot:
    """From `step` on, progress is `progress + rate * (steps since)`."""

    step: int
    progress: float
    rate: float

    def at(self, step: int) -> float:
        """Return the progress of this line at a step, at most 1."""
        return min(1.0, self.progress + self.rate * (step - self.step))


class StepPace:
    """Progress of a run whose number of steps is known."""

    def __init__(
        self,
        steps: int,
        knots: Sequence[Knot] = (),
        last: int | None = None,
        validated: Sequence[int] | None = None,
    ) -> None:
        """Create a pace over `steps`, straight or along the recorded `knots`.

        Args:
            steps: Those that progress reaches 1 with.
            knots: Of the run that is repeated.
            last: Step that the run ends with, if it ends early.
            validated: Steps after which the run that is repeated was validated.
        """
        self.steps = steps
        self.validated = None if validated is None else frozenset(validated)
        self.last = steps if last is None else last
        self.knots = list(knots)
        self._line = 0

    def progress(self, step: int) -> float:
        """Return the progress before step number `step` (from 0) is taken."""
        if not self.knots:
            return min(1.0, step / self.steps)
        if step < self.knots[self._line].step:
            self._line = 0
        while (
            self._line + 1 < len(self.knots) and self.knots[self._line + 1].step <= step
        ):
            self._line += 1
        return self.knots[self._line].at(step)

    def finished(self, step: int) -> bool:
        """Return whether `step` steps are all of them."""
        return step >= self.last


def compiles(took: float, quickest: float) -> bool:
    """Return whether a step took so long that it will have compiled.

    Args:
        took: Its seconds.
        quickest: Seconds of the quickest step.
    """
    return took > max(_LONG, _LONGER * quickest)


class ClockPace:
    """Progress of a run that must end at a time, whatever its speed turns out to be.

    Times are seconds of running time, as summed over resumes. A new knot bends the
    line of progress so that, at the speed measured lately, it meets 1 at the deadline.
    Speed is that of steps which do not compile: the first one does, and with batches of
    several shapes as many others as there are more shapes. See `compile_anew`.
    """

    def __init__(
        self, deadline: float, knots: Sequence[Knot] = (), shapes: int = 1
    ) -> None:
        """Create a pace that reaches progress 1 at `deadline` seconds.

        Args:
            deadline: In seconds of running time.
            knots: Of the run that is gone on with.
            shapes: Of batches, each of which compiles once.
        """
        self.deadline, self.shapes = deadline, shapes
        self.knots = list(knots) or [Knot(0, 0.0, 0.0)]
        self._seen: tuple[int, float] | None = None
        self._pauses = 0.0
        self._idle = 0.0  # of these, since the last step
        self._last = 0.0
        self._quickest = math.inf
        self._compilations = shapes - 1

    def progress(self, step: int) -> float:
        """Return the progress before step number `step` (from 0) is taken."""
        return self.knots[-1].at(step)

    def pause(self, seconds: float) -> None:
        """Leave out time that was not spent on steps, such as a validation."""
        self._pauses += seconds
        self._idle += seconds

    def compile_anew(self) -> None:
        """Expect each shape to compile once more: another program takes the steps."""
        self._compilations = self.shapes

    def observe(self, step: int, now: float, reserved: float = 0.0) -> None:
        """Learn that `step` steps are done at `now`; bend the line if it is time.

        Args:
            step: Steps done.
            now: Running time in seconds.
            reserved: Seconds before the deadline that steps will not get, such as
                validations still to come.
        """
        took, self._last, self._idle = now - self._last - self._idle, now, 0.0
        if self._seen is None:
            self._seen = (step, now)  # after the first step, which compiles
            self._pauses = 0.0
            return
        if self._compilations > 0 and compiles(took, self._quickest):
            self._compilations -= 1
            self._pauses += took
        self._quickest = min(self._quickest, took)
        before, then = self._seen
        taken = now - then - self._pauses
        first = self.knots[-1].rate == 0
        due = 0.5 if first else 0.01 * self.deadline
        progress = self.progress(step)
        # A line too steep is looked at again before it has led far.
        if step - before < 2 or (
            taken < due and progress - self.knots[-1].progress < _STRETCH
        ):
            return
        left = max(0.0, self.deadline - now - reserved)
        steps_left = max(1.0, left * (step - before) / max(taken, 1e-9))
        rate = (1.0 - progress) / steps_left
        self.knots.append(Knot(step, progress, min(rate, _STRETCH) if first else rate))
        self._seen = (step, now)
        self._pauses = 0.0

    def has(self, step: int, now: float, seconds: float) -> bool:
        """Return whether there are so many seconds left after a step."""
        return self.deadline - now >= seconds

    def finished(self, step: int, now: float) -> bool:
        """Return whether the schedule or the time is at its end."""
        return self.progress(step) >= 1.0 or now >= self.deadline
