"""The recurrent cells, a file for each; `base` says what a cell is.

Names of cells and their files are in `keras_rnnlm.cell_registry`.
"""

from keras_rnnlm.layers.cells.base import (
    Cell,
    ChunkedCell,
    LinearCell,
    LoopWeights,
    State,
    Weight,
    Weights,
    hold,
)
from keras_rnnlm.layers.cells.keras_cells import (
    ElmanCell,
    GRUCell,
    KerasCell,
    LSTMCell,
    ResetBeforeGRUCell,
    loop_weights,
)
from keras_rnnlm.layers.observed import gate

__all__ = [
    "Cell",
    "ChunkedCell",
    "ElmanCell",
    "GRUCell",
    "KerasCell",
    "LSTMCell",
    "LinearCell",
    "LoopWeights",
    "ResetBeforeGRUCell",
    "State",
    "Weight",
    "Weights",
    "gate",
    "hold",
    "loop_weights",
]
