"""`check_cell` names what is wrong with a cell; right ones: `tests.layers.cells`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from keras import ops

from keras_rnnlm.layers.cells.coupled_lstm import CoupledLSTM
from keras_rnnlm.layers.cells.mgu import MinimalGatedUnit
from keras_rnnlm.testing import CellError, check_cell


@dataclass(frozen=True)
class LeavesStateOut(CoupledLSTM):
    """Keeps no cell from call to call, only within."""

    def project(self, x: Any, w: Any) -> Any:
        projected = super().project(x, w)
        return projected + ops.cumsum(projected, axis=0) * 0.1


@dataclass(frozen=True)
class LooksAhead(MinimalGatedUnit):
    def project(self, x: Any, w: Any) -> Any:
        projected = super().project(x, w)
        return projected + ops.mean(projected, axis=0, keepdims=True)


@dataclass(frozen=True)
class MixesRows(MinimalGatedUnit):
    def project(self, x: Any, w: Any) -> Any:
        projected = super().project(x, w)
        return projected + ops.mean(projected, axis=1, keepdims=True)


@dataclass(frozen=True)
class StopsGradients(MinimalGatedUnit):
    def read(self, hidden: Any, x: Any, w: Any) -> Any:
        return hidden + ops.stop_gradient(hidden)


@dataclass(frozen=True)
class NotFinite(MinimalGatedUnit):
    def read(self, hidden: Any, x: Any, w: Any) -> Any:
        return hidden / ops.zeros_like(hidden)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (LeavesStateOut(), "in one call and in pieces"),
        (LooksAhead(), "in one call and in pieces"),
        (MixesRows(), "a row of the batch depends on another row"),
        (StopsGradients(), "the gradient by"),
        (NotFinite(), "not finite"),
        (MinimalGatedUnit, "Expected an object of a class"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_says_what_is_wrong(cell: Any, says: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(CellError, match=says):
        check_cell(cell, inputs=(5,))
