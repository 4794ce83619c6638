"""A recurrent cell of one's own, in one file, beside the package and not inside it.

    rnnlm train my-text.txt --import examples/my_cell.py --set cell=leaky --out my-model
    rnnlm generate my-model --import examples/my_cell.py
    python examples/my_cell.py        checks the cell

The cell here is the leaky integrator (Jaeger et al. 2007), an Elman network whose units
forget at a pace of their own, learned with the rest:

    s_t = tanh(W x_t + U h_(t-1) + b)
    h_t = (1 - a) * h_(t-1) + a * s_t,    a = sigmoid(leak)

A cell says three things: which weights it has, what its state looks like, and what one
time step does. What depends on the inputs alone (here W x_t + b) is computed for all
time steps at once by `project`, which need not be written when it is just that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras_rnnlm as krl  # before keras: it settles the backend

from keras import ops  # isort: skip

from keras_rnnlm.layers.cells import State, Weight, Weights, gate
from keras_rnnlm.layers.cells.weights import matrix, recurrent, vector


@krl.register_cell("leaky")
@dataclass(frozen=True)
class Leaky(krl.layers.Cell):
    """Leaky integrator units; fields are settings, `--set cell_arguments.leak=-2.0`.

    Attributes:
        leak: first value of the units' leak, before the sigmoid.
    """

    leak: float = 0.0

    state_names = ("h",)

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Names, shapes and first values of all weights."""
        return {
            "kernel": matrix(inputs, units),  # W and b: used by `project`
            "bias": vector(units),
            "recurrent_kernel": recurrent(units, units),  # U: in `step`, a function
            "leak": vector(units, self.leak, inside=True),  # in `step`, a vector
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """One array, h; it starts as zeros."""
        return ((units,),)

    def step(self, x: object, state: State, w: Weights) -> tuple[object, State]:
        """One time step: the output, and the new state."""
        (h,) = state
        # The share of the old state that goes: `rnnlm explain` shows it.
        a = gate("leak", ops.sigmoid(w.leak), holds=False)
        h = (1 - a) * h + a * ops.tanh(x + w.recurrent_kernel(h))
        return h, (h,)


if __name__ == "__main__":
    from keras_rnnlm.testing import check_cell

    check_cell(Leaky())
    check_cell(Leaky(leak=-2.0))
    print("leaky is a cell.")
