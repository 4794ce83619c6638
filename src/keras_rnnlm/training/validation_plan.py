"""When a run is validated, and how much of a timed run steps leave to that."""

from keras_rnnlm.training.schedules import ClockPace, StepPace


class ValidationPlan:
    """Validations spread evenly over a run, as many as there is time for.

    Attributes:
        steps: Those after which the run was validated.
        seconds: What one validation of all models takes.
    """

    def __init__(self, wanted: int, seconds: float = 0.0, models: int = 1) -> None:
        """Plan so many.

        Args:
            wanted: Number of validations.
            seconds: About what one takes, of one model.
            models: Those that are validated after the same step, one after the other.
        """
        self._wanted, self._models = wanted, models
        self._last: float | None = None
        self.steps: list[int] = []
        self.seconds = models * seconds

    def took(self, step: int, seconds: float) -> None:
        """Learn that a model was validated after a step, and what that took."""
        self.steps.append(step)
        self.seconds = self._models * seconds

    def due(self, pace: StepPace | ClockPace, step: int, now: float) -> bool:
        """Return whether to validate after a step that is not the last one.

        A run that is repeated is validated where it was; one that must end at a time
        only while there is time for the validation at its end as well, and as much for
        steps.

        Args:
            pace: Of the run.
            step: Steps done.
            now: Seconds of running time.
        """
        if isinstance(pace, StepPace) and pace.validated is not None:
            return step in pace.validated
        if pace.progress(step) * self._wanted < len(self.steps) + 1:
            return False
        return isinstance(pace, StepPace) or pace.has(step, now, 3 * self.seconds)

    def reserved(self, left: float) -> float:
        """Return the seconds that steps leave to validations.

        Half of those left at most, or what the last one takes; but that only up to four
        fifths of what was left at first, so that there are steps in any case.

        Args:
            left: Seconds until the deadline.
        """
        if self._last is None:
            self._last = 0.8 * left
        wanted = (self._wanted - len(self.steps)) * self.seconds
        return min(wanted, max(min(self.seconds, self._last), 0.5 * left))
