"""The recurrent state that training carries from one batch to the next.

Inside `fit` the only values that live from step to step are variables, so the state of
truncated back-propagation through time is kept in non-trainable ones. Training and
evaluation each have their own slot: validation never disturbs training.
"""

from typing import Any

import keras
from keras import ops

State = tuple[tuple[Any, ...], ...]
"""Per recurrent layer a tuple of arrays (batch, units)."""


class _Slot(keras.layers.Layer):
    """Non-trainable variables of the shape of one state, for a fixed batch size."""

    def __init__(self, zeros: State, name: str) -> None:
        super().__init__(name=name, trainable=False)
        self.rows = int(zeros[0][0].shape[0])
        self._widths = [len(layer) for layer in zeros]
        self._cells = [
            self.add_weight(
                shape=array.shape,
                initializer="zeros",
                dtype="float32",
                trainable=False,
                name=f"layer{i}_state{j}",
            )
            for i, layer in enumerate(zeros)
            for j, array in enumerate(layer)
        ]
        self.built = True

    def value(self) -> State:
        cells = iter(self._cells)
        # An own copy: autograd on PyTorch must not see the later assignment.
        return tuple(
            tuple(ops.copy(next(cells).value) for _ in range(n)) for n in self._widths
        )

    def assign(self, state: State) -> None:
        arrays = [array for layer in state for array in layer]
        for cell, array in zip(self._cells, arrays, strict=True):
            cell.assign(ops.cast(ops.stop_gradient(array), "float32"))

    def save_own_variables(self, store: Any) -> None:
        """Save nothing: the state belongs to a run, not to a model."""

    def load_own_variables(self, store: Any) -> None:
        """Load nothing, like `save_own_variables`."""


class CarriedState(keras.layers.Layer):
    """Two slots of recurrent state, one for training and one for evaluation."""

    def __init__(self, name: str = "carried_state") -> None:
        """Create both slots empty; `allocate` makes their variables."""
        super().__init__(name=name, trainable=False)
        self._training_slot: _Slot | None = None
        self._evaluation_slot: _Slot | None = None
        # Set by hand, not by build(): a built layer takes no further variables.
        self.built = True

    def rows(self, training: bool) -> int | None:
        """Return the batch size of a slot; None before it is allocated."""
        slot = self._training_slot if training else self._evaluation_slot
        return None if slot is None else slot.rows

    def allocate(self, zeros: State, training: bool) -> bool:
        """Give a slot the shapes of `zeros`; return whether its shapes changed."""
        rows = int(zeros[0][0].shape[0])
        if self.rows(training) == rows:
            return False
        name = "_training_slot" if training else "_evaluation_slot"
        if getattr(self, name) is not None:
            delattr(self, name)  # untracks the variables of the old batch size
        setattr(self, name, _Slot(zeros, name=name.strip("_")))
        return True

    def read(self, carry: Any, training: bool) -> State:
        """Return the state, zeroed in the rows whose `carry` is 0.

        Args:
            carry: float (batch,), 1 where the row goes on from the previous batch.
            training: Which slot to read.
        """
        slot = self._slot(carry.shape[0], training)
        keep = ops.expand_dims(ops.cast(carry, "float32"), -1)
        # where, not a product: a state that is not finite must not outlive a reset.
        return tuple(
            tuple(ops.where(keep > 0, array, 0.0) for array in layer)
            for layer in slot.value()
        )

    def write(self, state: State, training: bool) -> None:
        """Store the state after a batch."""
        self._slot(state[0][0].shape[0], training).assign(state)

    def _slot(self, rows: int | None, training: bool) -> _Slot:
        slot = self._training_slot if training else self._evaluation_slot
        # TensorFlow traces with an unknown number of rows; it checks when it runs.
        if slot is None or rows not in (None, slot.rows):
            expected = "no carried state yet" if slot is None else f"{slot.rows} rows"
            raise ValueError(
                f"A batch of a stream has {rows} rows, but the model has {expected}. "
                "Give fit() and evaluate() the batches themselves "
                "(corpus.train.batches(...)), which say how many rows they have."
            )
        return slot
