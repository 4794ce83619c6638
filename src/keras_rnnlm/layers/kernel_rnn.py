"""`keras.layers.RNN` with our loop over time, for the drop-in layers of `recurrent`."""

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import keras
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers import cells
from keras_rnnlm.layers.kernels import dispatch
from keras_rnnlm.layers.kernels.products import accumulator, chosen_rows, product
from keras_rnnlm.layers.low_rank import FixedMatrices, LowRank
from keras_rnnlm.layers.regularizers import WeightDrop
from keras_rnnlm.layers.watch import Prepared

Array = Any


class KernelRNN(FixedMatrices, keras.layers.RNN):
    """What the three layers share: the loop of `keras.layers.RNN`, replaced.

    Stands before the Keras layer in the order of inheritance. Subclasses say what
    their equation is and how their bias divides.

    Attributes:
        cell_settings: flags among the arguments that choose the equation, by name with
            their defaults: what `cell_arguments` of a model may hold.
    """

    cell_settings: ClassVar[Mapping[str, bool]] = MappingProxyType({})

    def __init__(
        self,
        units: int,
        *arguments: Any,
        weight_dropout: float = 0.0,
        low_rank: int = 0,
        **options: Any,
    ) -> None:
        """Make a Keras layer, and what is done to its matrices.

        Args:
            units: Of the state.
            *arguments: Of the Keras layer.
            weight_dropout: See `WeightDrop`.
            low_rank: See `LowRank`.
            **options: Of the Keras layer.

        Raises:
            ConfigError: If `weight_dropout` is out of range, or it or `low_rank` meets
                an argument that only Keras's loop serves.
        """
        super().__init__(units, *arguments, **options)
        self.low_rank = low_rank
        self.factors = LowRank(low_rank)
        self.weight_dropout = weight_dropout
        self.weight_drop = WeightDrop(weight_dropout, self.cell.seed)
        # Keras's layer tracks generators among its attributes, not deeper.
        self.weight_seed_generator = self.weight_drop.seed_generator
        self.loop: str | None = None
        # The kernels round the weights themselves, and their gradients not at all.
        self.autocast = self._needs_keras()
        for name, value in (
            ("weight_dropout", weight_dropout),
            ("low_rank", low_rank),
        ):
            if value and self._needs_keras():
                raise ConfigError(
                    f"{name} expected 0 beside recurrent_dropout, implementation=1 "
                    "with dropout, use_cudnn=True or an activation that is a layer, "
                    f"received {value!r}: use one or the other."
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Make the cell's weights, and the factors beside its matrices."""
        super().build(sequences_shape, initial_state_shape)
        for name in ("kernel", "recurrent_kernel"):
            matrix = getattr(self.cell, name)
            self.factors.add(self, name, matrix, self.cell.seed)
        if not self.autocast:
            # `carried` and `of_rows` are no calls, which would leave the scope in which
            # Keras rounds what variables give, and so their gradients.
            for variable in self.weights:
                variable._autocast = False

    def _matrix(self, name: str) -> Array:
        """`kernel` or `recurrent_kernel`, what was learnt beside it included."""
        return self.factors(name, ops.convert_to_tensor(getattr(self.cell, name)))

    @property
    def equation(self) -> cells.KerasCell:
        """The cell's equation with this layer's activations."""
        return self._equation()

    @abstractmethod
    def _equation(self) -> cells.KerasCell:
        """The cell's equation with this layer's activations."""

    def _biases(self) -> tuple[Array | None, Array | None]:
        """The bias of the input projection and that of the recurrent product."""
        return self.cell.bias, None

    def _needs_keras(self) -> bool:
        """Whether only Keras's loop does what the arguments ask for."""
        cell = self.cell
        # Dropout of the state by gate, and of the input by gate.
        by_gate = getattr(cell, "implementation", 2) == 1 and cell.dropout > 0
        # An activation with weights of its own cannot be a constant of a kernel.
        activations = (cell.activation, getattr(cell, "recurrent_activation", None))
        with_layer = any(isinstance(a, keras.layers.Layer) for a in activations)
        forced = getattr(self, "use_cudnn", None) is True
        return cell.recurrent_dropout > 0 or by_gate or with_layer or forced

    def planned_loop(self, masked: bool = False) -> str:
        """The loop that a call will take; `loop` says which one the last call took."""
        if self._needs_keras():
            return "keras"
        cell = self._equation()
        return dispatch.choose(cell, self.compute_dtype, self.unroll, masked)

    def inner_loop(
        self,
        sequences: Array,
        initial_state: Any,
        mask: Array | None,
        training: bool = False,
    ) -> tuple[Array, Array, list[Array]]:
        """Run the loop; called by `keras.layers.RNN.call`.

        Args:
            sequences: inputs (B, T, D).
            initial_state: arrays (B, units).
            mask: booleans (B, T), or None.
            training: whether dropout applies.

        Returns:
            Last output (B, units), outputs (B, T, units) (of the last step alone
            unless `return_sequences`), final states.
        """
        self.loop = loop = self.planned_loop(masked=mask is not None)
        if loop == "keras":
            last, outputs, states = super().inner_loop(
                sequences, initial_state, mask, training=training
            )
            return last, outputs, states
        if isinstance(mask, list | tuple):
            mask = mask[0]
        if training and self.cell.dropout > 0:
            dropped = self.cell.get_dropout_mask(sequences[:, 0, :])
            sequences = sequences * ops.expand_dims(dropped, 1)
        wide = accumulator(self.compute_dtype)
        inputs = ops.transpose(ops.cast(sequences, self.compute_dtype), (1, 0, 2))
        if mask is not None:
            mask = ops.expand_dims(ops.transpose(ops.cast(mask, "bool"), (1, 0)), -1)
        if self.go_backwards:
            inputs = ops.flip(inputs, axis=0)
            mask = None if mask is None else ops.flip(mask, axis=0)

        state = tuple(ops.cast(s, wide) for s in initial_state)
        if self.stateful:
            # PyTorch would find its saved tensors changed when the variables of the
            # state are assigned, and refuse to differentiate.
            state = tuple(ops.copy(s) for s in state)
        kernel = self._matrix("kernel")
        hidden, last = self._run(loop, inputs, kernel, mask, state, training)
        if mask is not None:
            hidden = self._masked_outputs(hidden, mask)
        output = hidden[-1]
        if not self.return_sequences:
            return output, ops.expand_dims(output, 1), list(last)
        return output, ops.transpose(hidden, (1, 0, 2)), list(last)

    def carried(
        self, sequences: Array, initial_state: Any, training: bool = False
    ) -> list[Array]:
        """A call whose state stays in float32, also under a 16-bit policy.

        Keras's `RNN.call` rounds it to the policy's precision, before and after.

        Args:
            sequences: inputs (B, T, D).
            initial_state: arrays (B, units).
            training: whether dropout applies.

        Returns:
            Outputs (B, T, units) and final states.
        """
        _, outputs, last = self.inner_loop(
            sequences, list(initial_state), None, training
        )
        return [ops.cast(outputs, self.compute_dtype), *last]

    def reads_rows(self, training: bool) -> bool:
        """Whether `of_rows` does what a call does."""
        dropped = training and self.cell.dropout > 0
        loop = self.planned_loop()
        return (
            not dropped
            and loop not in ("keras", "torch-fused")
            and not (self.go_backwards or self.stateful)
        )

    def of_rows(
        self, vectors: Array, ids: Array, initial_state: Any, training: bool = False
    ) -> list[Array]:
        """A call on `vectors[ids]` that multiplies each vector once.

        The input product is the same wherever a word stands. With fewer vectors than
        places, as in a model of characters, it is made for the vectors, and its rows
        are handed out.

        Args:
            vectors: (V, D).
            ids: integers (B, T) in [0, V).
            initial_state: arrays (B, units).
            training: whether dropout applies.

        Returns:
            Outputs (B, T, units) and final states, whatever `return_sequences` and
            `return_state` say; only where `reads_rows` holds.
        """
        self.loop = loop = self.planned_loop()
        wide = accumulator(self.compute_dtype)
        kernel = self._matrix("kernel")
        projected = product(ops.cast(vectors, self.compute_dtype), kernel)
        x = chosen_rows(projected, ops.transpose(ids, (1, 0)), self.compute_dtype)
        state = tuple(ops.cast(s, wide) for s in initial_state)
        hidden, last = self._run(loop, x, None, None, state, training)
        outputs = ops.cast(ops.transpose(hidden, (1, 0, 2)), self.compute_dtype)
        return [outputs, *last]

    def prepare(self, sequences: Array, initial_state: Any) -> Prepared:
        """A call outside training up to its loop over time; see `watch`."""
        wide = accumulator(self.compute_dtype)
        equation = self._equation()
        kernel, recurrent_kernel = (
            ops.cast(self._matrix(name), self.compute_dtype)
            for name in ("kernel", "recurrent_kernel")
        )
        bias, recurrent_bias = (
            None if b is None else ops.cast(b, wide) for b in self._biases()
        )
        inputs = ops.transpose(ops.cast(sequences, self.compute_dtype), (1, 0, 2))
        x = product(inputs, kernel)
        return Prepared(
            equation,
            x if bias is None else x + bias,
            tuple(ops.cast(s, wide) for s in initial_state),
            cells.loop_weights(equation, recurrent_kernel, recurrent_bias),
            lambda hidden: hidden,
            [],
        )

    def _run(
        self,
        loop: str,
        inputs: Array,
        kernel: Array | None,
        mask: Array | None,
        state: cells.State,
        training: bool,
    ) -> tuple[Array, cells.State]:
        """Hidden states (T, B, units) and last state.

        Args:
            loop: Which kernel runs.
            inputs: (T, B, D); with `kernel` None what it would make of them.
            kernel: (D, ...) of the input product.
            mask: (T, B, 1) of booleans, or None.
            state: arrays (B, units).
            training: whether weights are dropped.
        """
        wide = accumulator(self.compute_dtype)
        recurrent_kernel = self._matrix("recurrent_kernel")
        recurrent_kernel = self.weight_drop(recurrent_kernel, training)
        bias, recurrent_bias = (
            None if b is None else ops.cast(b, wide) for b in self._biases()
        )
        if loop == "torch-fused":
            from keras_rnnlm.layers.kernels import torch_fused

            return torch_fused.recurrence(
                self._equation(),
                inputs,
                state,
                kernel,
                recurrent_kernel,
                bias,
                recurrent_bias,
            )
        equation = self._equation()
        if loop == "native" and equation.additive:
            # The kernel adds it where it reads x, which saves a pass over x.
            bias, recurrent_bias = None, bias
        x = inputs if kernel is None else product(inputs, kernel)
        return dispatch.run(
            loop,
            equation,
            self.compute_dtype,
            x if bias is None else x + bias,
            mask,
            state,
            recurrent_kernel,
            recurrent_bias,
        )

    def _masked_outputs(self, hidden: Array, mask: Array) -> Array:
        """What Keras outputs at masked steps, from the states kept there.

        A masked step repeats the output before it, which is the state that the kernel
        kept. Before the first step that counts, the output is the initial state with
        Keras's loop on JAX and zero with its other loops; so it is here.
        """
        if self.zero_output_for_mask:
            return ops.where(mask, hidden, ops.zeros_like(hidden))
        if keras.backend.backend() == "jax" and not self.unroll:
            return hidden
        begun = ops.cumsum(ops.cast(mask, "int32"), axis=0) > 0
        return ops.where(begun, hidden, ops.zeros_like(hidden))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "weight_dropout": self.weight_dropout,
            "low_rank": self.low_rank,
        }
