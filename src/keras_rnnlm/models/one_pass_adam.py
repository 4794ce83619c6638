"""Adam and AdamW of Keras, whose step on a CPU under JAX is one pass over memory.

Keras clips, decays and updates array by array in the operations of its backend, of
which XLA makes three passes over gradients, moments and weights. There is no arithmetic
to speak of in them: what they read and write is the time they take. The kernels of
`layers.kernels.native_adam` do the same sums in one pass, after one over the gradients
for their norm. Equations, variables, their order and names are Keras's own.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_rnnlm.layers.kernels import dispatch

Array = Any
Variable = Any


class _OnePass:
    """Stands before one of Keras's optimizers in a class; see `OnePassAdam`."""

    path: str | None = None

    # Of Keras's optimizers.
    amsgrad: bool
    beta_1: Any
    beta_2: Any
    clipnorm: float | None
    clipvalue: float | None
    epsilon: float
    global_clipnorm: float | None
    gradient_accumulation_steps: int | None
    iterations: Any
    weight_decay: float | None
    _momentums: list[Variable]
    _velocities: list[Variable]
    _get_variable_index: Any
    _use_weight_decay: Any

    def _backend_apply_gradients(
        self, grads: Sequence[Array], trainable_variables: Sequence[Variable]
    ) -> None:
        # The three hooks below are called from here, and must all take one path.
        self.path = "native" if self._serves(grads, trainable_variables) else "keras"
        super()._backend_apply_gradients(grads, trainable_variables)  # type: ignore[misc]

    def _serves(self, grads: Sequence[Array], variables: Sequence[Variable]) -> bool:
        if (
            self.amsgrad
            or self.clipnorm
            or self.clipvalue
            or self.gradient_accumulation_steps
            # The kernels know whole arrays, not their shards.
            or keras.distribution.distribution() is not None
            or dispatch.native_target() is None
        ):
            return False
        import jax

        return all(
            # A sparse gradient is no array.
            isinstance(g, jax.Array)
            and g.dtype == v.dtype == "float32"
            and g.shape == v.shape
            for g, v in zip(grads, variables, strict=True)
        )

    def _clip_gradients(self, grads: Sequence[Array]) -> Sequence[Array]:
        if self.path == "native":
            return grads
        return super()._clip_gradients(grads)  # type: ignore[misc,no-any-return]

    def _apply_weight_decay(self, variables: Sequence[Variable]) -> None:
        if self.path != "native":
            super()._apply_weight_decay(variables)  # type: ignore[misc]

    def _backend_update_step(
        self,
        grads: Sequence[Array],
        trainable_variables: Sequence[Variable],
        learning_rate: Any,
    ) -> None:
        if self.path != "native":
            super()._backend_update_step(  # type: ignore[misc]
                grads, trainable_variables, learning_rate
            )
            return
        rate, scale = ops.cast(learning_rate, "float32"), self._scale(grads)
        pairs = list(zip(grads, trainable_variables, strict=True))
        if not self.weight_decay:
            self._update(pairs, rate, scale, 0.0)
            return
        decay = rate * ops.cast(self.weight_decay, "float32")
        decays = [self._use_weight_decay(variable) for _, variable in pairs]
        for wanted, part in ((True, decay), (False, 0.0)):
            chosen = [p for p, has in zip(pairs, decays, strict=True) if has == wanted]
            if chosen:
                self._update(chosen, rate, scale, part)

    def _scale(self, grads: Sequence[Array]) -> Any:
        """What the gradients are multiplied by; see Keras's `clip_by_global_norm`."""
        limit = self.global_clipnorm
        if not limit or limit < 0:
            return 1.0
        from keras_rnnlm.layers.kernels import native_adam

        norm = ops.sqrt(native_adam.square_sum(grads))
        # What is added is zero, or, if the norm is infinite, no number.
        return limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)

    def _update(
        self, pairs: list[tuple[Array, Variable]], rate: Any, scale: Any, decay: Any
    ) -> None:
        """Take a step with gradients of variables, all of which decay alike."""
        from keras_rnnlm.layers.kernels import native_adam

        step = ops.cast(self.iterations + 1, "float32")
        left_1 = 1 - ops.power(ops.cast(self.beta_1, "float32"), step)
        left_2 = 1 - ops.power(ops.cast(self.beta_2, "float32"), step)
        variables = [variable for _, variable in pairs]
        places = [self._get_variable_index(variable) for variable in variables]
        momentums = [self._momentums[place] for place in places]
        velocities = [self._velocities[place] for place in places]
        new = native_adam.update(
            [variable.value for variable in variables],
            [momentum.value for momentum in momentums],
            [velocity.value for velocity in velocities],
            [gradient for gradient, _ in pairs],
            rate=rate * ops.sqrt(left_2) / left_1,
            scale=scale,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            decay=decay,
        )
        for kind, values in zip((variables, momentums, velocities), new, strict=True):
            for variable, value in zip(kind, values, strict=True):
                variable.assign(value)


@keras.saving.register_keras_serializable("keras_rnnlm")
class OnePassAdam(_OnePass, keras.optimizers.Adam):
    """`keras.optimizers.Adam`, in one pass over memory where that can be done.

    It is done on JAX, on a CPU with the compiled kernels, for variables and gradients
    in float32. With `amsgrad`, clipping other than `global_clipnorm`, accumulation of
    gradients or a `keras.distribution` Keras's own step is taken. Arguments are those
    of `keras.optimizers.Adam`; a state saved on one path goes on along the other.

    Attributes:
        path: What the last step was traced as: "native" for the kernels, "keras" for
            Keras's own; None before the first.
    """


@keras.saving.register_keras_serializable("keras_rnnlm")
class OnePassAdamW(_OnePass, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` in the manner of `OnePassAdam`."""


_KINDS = {
    keras.optimizers.Adam: OnePassAdam,
    keras.optimizers.AdamW: OnePassAdamW,
}


def one_pass_kind(kind: Any) -> Any:
    """Return the class that does what one of Keras's does, sooner; or that class."""
    return _KINDS.get(kind, kind) if keras.backend.backend() == "jax" else kind


def in_one_pass(optimizer: Any) -> Any:
    """Let an optimizer step in one pass over memory if it is one of those that can.

    Args:
        optimizer: As `keras.Model.compile` takes it. An instance of exactly
            `keras.optimizers.Adam` or `AdamW`, also inside a `LossScaleOptimizer`,
            takes the other class and remains the same object: whoever holds it can go
            on setting its learning rate. Subclasses may have changed the equations,
            and are left alone.

    Returns:
        The optimizer.
    """
    if isinstance(optimizer, str | dict):
        optimizer = keras.optimizers.get(optimizer)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    kind = one_pass_kind(type(inner))
    if kind is not type(inner):
        # The classes add no variables and no arguments: all that is built stays right.
        inner.__class__ = kind
    return optimizer
