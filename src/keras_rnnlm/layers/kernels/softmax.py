"""The softmax of rows of logits: nats of targets and the gradient, in one pass.

On JAX's CPU backend a C++ kernel sweeps each row while it is in the cache; elsewhere
the same in the backend's operations.
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_rnnlm.layers.kernels.products import accumulator

Array = Any


@dataclass(frozen=True)
class Softmax:
    """How softmaxes and the products before and after them are computed.

    Attributes:
        loop: "native" for C++ kernels, or "chunks" for the backend's operations.
        dtype: Of the gradient by the logits, which is an operand of products.
    """

    loop: str
    dtype: str

    def nats(
        self, logits: Array, bias: Array | None, targets: Array
    ) -> tuple[Array, Array]:
        """Nats (N,) of targets (N,) under logits (N, V) plus bias (V,), and correct."""
        if self.loop == "native":
            from keras_rnnlm.layers.kernels import native_softmax

            return native_softmax.nats(logits, bias, targets)
        nats, correct, *_ = _terms(_biased(logits, bias), targets)
        return nats, correct

    def gradient(
        self, logits: Array, bias: Array | None, targets: Array, weights: Array
    ) -> tuple[Array, Array, Array, Array]:
        """The gradient of the sum of weights times nats.

        Args:
            logits: (N, V) in float32 or float64; done with afterwards.
            bias: (V,) to be added to them, or None.
            targets: (N,) of int32 in [0, V).
            weights: (N,), in the logits' type.

        Returns:
            The gradient by the logits (N, V) in `dtype`, nats (N,), correct (N,) as
            0.0 or 1.0, and the gradient by the bias (V,).
        """
        if self.loop == "native":
            from keras_rnnlm.layers.kernels import native_softmax

            return native_softmax.gradient(logits, bias, targets, weights, self.dtype)
        nats, correct, terms, total, hit = _terms(_biased(logits, bias), targets)
        factor = ops.expand_dims(weights, -1)
        d_logits = terms * (factor / total) - ops.where(hit, factor, 0.0)
        return ops.cast(d_logits, self.dtype), nats, correct, ops.sum(d_logits, axis=0)

    def operand(self, matrix: Array) -> Array:
        """A matrix as `product` takes it on the right: in `dtype`, or as it is."""
        return matrix if self._rounds(self.dtype) else ops.cast(matrix, self.dtype)

    def product(self, a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
        """`dot` where nobody asks for its gradient, and `b` an `operand`.

        Kernels that round to 16 bits as they read spare a pass over the matrix, and to
        them a transposed operand costs nothing.
        """
        if not self._rounds(a.dtype):
            return self.dot(a, b, axis_a, axis_b)
        from keras_rnnlm.layers.kernels import native_product

        return native_product.product(a, b, axis_a == 0, axis_b == 1)

    def _rounds(self, dtype: Any) -> bool:
        """Whether such kernels make products with operands of this type."""
        if self.loop != "native":
            return False
        from keras_rnnlm.layers.kernels import native_product

        return native_product.serves(dtype)

    def dot(self, a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
        """The product of two matrices over an axis of each, in float32 or better.

        Operands of 16 bits keep their speed where the backend can sum them in float32.
        """
        wide = accumulator(keras.backend.standardize_dtype(a.dtype))
        if keras.backend.backend() == "jax":
            if self.loop == "native" and axis_a == 0:
                from keras_rnnlm.layers.kernels import native_product

                # XLA multiplies by a transposed bfloat16 operand at half the speed.
                if native_product.serves(a.dtype):
                    return native_product.product(a, b, True, axis_b == 1)
            import jax

            axes = (((axis_a,), (axis_b,)), ((), ()))
            return jax.lax.dot_general(a, b, axes, preferred_element_type=wide)
        a, b = ops.cast(a, wide), ops.cast(b, wide)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.matmul(a, b, transpose_a=axis_a == 0, transpose_b=axis_b == 1)
        a = ops.transpose(a) if axis_a == 0 else a
        return ops.matmul(a, ops.transpose(b) if axis_b == 1 else b)


def choose(dtype: str) -> str:
    """Return what computes softmaxes whose products have operands of `dtype`.

    "native" (C++) on JAX's CPU backend in float32 and bfloat16, where it can be
    called; else "chunks", the backend's own operations.
    """
    if keras.backend.backend() != "jax" or dtype not in ("float32", "bfloat16"):
        return "chunks"
    from keras_rnnlm.layers.kernels.native import library

    return "native" if library.available() else "chunks"


def _biased(logits: Array, bias: Array | None) -> Array:
    return logits if bias is None else logits + ops.cast(bias, logits.dtype)


def _terms(logits: Array, targets: Array) -> tuple[Array, ...]:
    """nats, correct (N,), exp(logits - largest) (N, V), its sums (N, 1), one-hot."""
    targets = ops.expand_dims(targets, -1)
    words = ops.arange(logits.shape[-1], dtype="int32")
    # The largest logit is subtracted before anything else: beside a logit of 1e4,
    # float32 would round a difference of nats to 1e-3.
    largest = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    shifted = logits - largest
    terms = ops.exp(shifted)
    total = ops.sum(terms, axis=-1, keepdims=True)
    chosen = ops.take_along_axis(shifted, targets, axis=-1)
    nats = ops.squeeze(ops.log(total) - chosen, axis=-1)
    # Of equal logits the first counts as the likeliest. No argmax: on a CPU JAX's
    # takes longer than the product that made the logits.
    before = ops.logical_and(shifted == 0, words < targets)
    first = ops.logical_not(ops.any(before, axis=-1))
    correct = ops.logical_and(ops.squeeze(chosen, axis=-1) == 0, first)
    return nats, ops.cast(correct, logits.dtype), terms, total, words == targets
