"""Numbers that a device may still be computing."""

from typing import Any

import numpy as np


class Pending:
    """A scalar on the device, read when it is wanted."""

    def __init__(self, array: Any) -> None:
        """Hold a scalar. There is no `__float__`, which Keras would call at once."""
        self._array = array

    def wait(self) -> float:
        """Return the number once it is there."""
        return float(self._array)


class PendingMember(Pending):
    """A member's number among those of all; it is cut out when it is read."""

    def __init__(self, arrays: Any, member: int) -> None:
        """Hold an array of one number a member."""
        super().__init__(arrays)
        self._member = member

    def wait(self) -> float:
        """Return the member's number once it is there."""
        return float(np.asarray(self._array)[self._member])


def number(value: Any) -> float:
    """Return a number that may be `Pending`."""
    return value.wait() if isinstance(value, Pending) else float(value)
