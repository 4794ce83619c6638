"""How fast a run goes."""

_KNOWN, _LONG = 0.25, 2.0
"""Seconds after which a stretch tells something, and after which another one begins."""


class Speed:
    """Tokens a second over the last few seconds of training.

    Attributes:
        value: Tokens a second; 0 before the second step.
    """

    def __init__(self) -> None:
        """Begin before the first step."""
        self.value = 0.0
        self._since: float | None = None
        self._tokens = 0

    def add(self, tokens: int, now: float) -> None:
        """Count the tokens of a step that ended `now`, in seconds."""
        if self._since is None:
            self._since = now  # the first step compiles: it does not count
            return
        self._tokens += tokens
        taken = now - self._since
        if taken >= _KNOWN or (self.value == 0.0 and taken > 0):
            self.value = self._tokens / taken
        if taken >= _LONG:
            self._since, self._tokens = now, 0

    def pause(self, now: float) -> None:
        """Leave out the time until `now`, which was not spent on steps."""
        self._since, self._tokens = now, 0
