"""Stop strings: where a text that is being written piece by piece ends."""

from collections.abc import Sequence

from keras_rnnlm.errors import InputError


class StopWatch:
    """Passes text on until a stop string is complete, holding back what may be one.

    The text ends at the first character that completes any stop string, and is cut
    where that stop string begins; if two are completed by the same character, the
    longer one counts. How the text was divided into pieces makes no difference.

    Example:
        >>> watch = StopWatch(["END"])
        >>> watch.push("to the E"), watch.push("ast, EN"), watch.push("D of it")
        ('to the ', 'East, ', '')
        >>> watch.stopped
        True
    """

    def __init__(self, stops: str | Sequence[str]) -> None:
        """Watch for one stop string or several; none at all lets everything pass.

        Raises:
            InputError: a stop string is empty.
        """
        self.stops = (stops,) if isinstance(stops, str) else tuple(stops)
        if "" in self.stops:
            raise InputError(
                "Expected stop strings of at least one character, received an empty "
                "one. Leave it out to write on until the number of tokens is reached."
            )
        self.stopped = False
        self._held = ""

    def push(self, piece: str) -> str:
        """Take the next piece of text; return what is now certain to be kept."""
        if self.stopped:
            return ""
        text = self._held + piece
        found = [
            (start + len(stop), start)
            for stop in self.stops
            if (start := text.find(stop)) >= 0
        ]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = len(text) - self._undecided(text)
        self._held = text[keep:]
        return text[:keep]

    def flush(self) -> str:
        """Return what was held back, once no more text will come."""
        held, self._held = self._held, ""
        return held

    def _undecided(self, text: str) -> int:
        """Length of the longest end of the text that may be a stop string's start."""
        longest = max((len(stop) for stop in self.stops), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self.stops):
                return length
        return 0
