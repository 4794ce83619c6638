"""Numbers that a device may still be computing."""

from typing import Any


class Pending:
    """A scalar on the device, read when it is wanted."""

    def __init__(self, array: Any) -> None:
        """Hold a scalar. There is no `__float__`, which Keras would call at once."""
        self._array = array

    def wait(self) -> float:
        """Return the number once it is there."""
        return float(self._array)


def number(value: Any) -> float:
    """Return a number that may be `Pending`."""
    return value.wait() if isinstance(value, Pending) else float(value)
