"""The recurrent state that training carries from one batch to the next.

Inside `fit` the only values that live from step to step are variables, so the state of
truncated back-propagation through time is kept in non-trainable ones. Training and
evaluation each have their own slot: validation never disturbs training.
"""

from typing import Any

import keras
from keras import ops

State = tuple[tuple[Any, ...], ...]
"""Per recurrent layer a tuple of arrays (batch, ...), their shapes the cell's."""


class _Slot(keras.layers.Layer):
    """Non-trainable variables of the shape of one state, for a fixed batch size."""

    def __init__(self, zeros: State, name: str) -> None:
        super().__init__(name=name, trainable=False)
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
    """Slots of recurrent state: for training and for evaluation, by batch size."""

    def __init__(self, name: str = "carried_state") -> None:
        """Create no slot yet; `allocate` makes them with their variables."""
        super().__init__(name=name, trainable=False)
        self._slots: dict[str, _Slot] = {}
        self._latest = {"training": "", "evaluation": ""}
        # Set by hand, not by build(): a built layer takes no further variables.
        self.built = True

    def allocate(self, zeros: State, training: bool) -> bool:
        """Make ready a slot for states of the shapes of `zeros`.

        Returns:
            Whether it is another slot than the last one made ready for this use.
        """
        name = _slot_name(zeros[0][0].shape[0], training)
        if name not in self._slots:
            self._slots[name] = _Slot(zeros, name=name)
        changed = self._latest[_use(training)] != name
        self._latest[_use(training)] = name
        return changed

    def read(self, carry: Any, training: bool) -> State:
        """Return the state, zeroed in the rows whose `carry` is 0.

        Args:
            carry: float (batch,), 1 where the row goes on from the previous batch.
            training: Which slot to read.
        """
        slot = self._slot(carry.shape[0], training)
        keep = ops.cast(carry, "float32") > 0

        def reset(array: Any) -> Any:
            rows = ops.reshape(keep, (-1,) + (1,) * (len(array.shape) - 1))
            # where, not a product: a state that is not finite must not outlive a reset.
            return ops.where(rows, array, 0.0)

        return tuple(tuple(reset(array) for array in layer) for layer in slot.value())

    def write(self, state: State, carry: Any, training: bool) -> None:
        """Store the state after a batch, in the slot that it was read from."""
        self._slot(carry.shape[0], training).assign(state)

    def _slot(self, rows: int | None, training: bool) -> _Slot:
        # TensorFlow traces without knowing the rows: they are those made ready last.
        use = _use(training)
        name = self._latest[use] if rows is None else _slot_name(rows, training)
        if name not in self._slots:
            raise ValueError(
                f"A batch of a stream has {rows} rows, for which the model has no "
                "carried state. Give fit() and evaluate() the batches themselves "
                "(corpus.train.batches(...)), which say how many rows they have."
            )
        return self._slots[name]


def _use(training: bool) -> str:
    return "training" if training else "evaluation"


def _slot_name(rows: int, training: bool) -> str:
    return f"{_use(training)}_{rows}_rows"
