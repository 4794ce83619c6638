"""A causal gated convolution whose state is its last inputs."""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.products import accumulator, product
from keras_rnnlm.layers.regularizers import checked_rate

Array = Any

WIDEST = 1024


@keras.saving.register_keras_serializable("keras_rnnlm")
class GatedConvolution(keras.layers.Layer):
    """A convolution over the last k steps, gated and added to its input.

    Of Dauphin et al. (2017), with X_t the inputs of steps t - k + 1 to t:

        y_t = x_t + (X_t W + b) * sigmoid(X_t V + c)

    and their weight normalisation (Salimans & Kingma 2016): each column of W and V is
    g v / |v|. Before the first step there are zeros, as in the paper, so that a state
    of zeros is a beginning.

    Args:
        kernel_width: k, number of steps that the layer sees, the present one included.
        dropout: Rate of dropout on what is added.
        seed: Of dropout; None draws one.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        x: (B, T, D).
        past: (B, k - 1, D), the inputs of the steps before.
        training: whether to drop.

    Returns:
        (B, T, D) and a tuple of the last k - 1 inputs, in float32.

    Raises:
        ConfigError: if width or rate are out of range.
    """

    def __init__(
        self,
        kernel_width: int,
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        # Norms of columns are taken in float32; products cast for themselves.
        super().__init__(autocast=False, **options)
        if not 2 <= kernel_width <= WIDEST:
            raise ConfigError(
                f"Expected a kernel_width of 2 to {WIDEST} steps, received "
                f"{kernel_width}."
            )
        self.kernel_width, self.seed = kernel_width, seed
        self.rate = checked_rate(dropout, "GatedConvolution's dropout")
        self._dropout = keras.layers.Dropout(
            self.rate, seed=seed, dtype=self.dtype_policy
        )

    def build(self, input_shape: Any) -> None:
        """Create the weights: first the columns of W, then those of V."""
        width = input_shape[-1]

        def add(name: str, *shape: int, initializer: str) -> Any:
            return self.add_weight(
                shape=shape, initializer=initializer, name=name, autocast=False
            )

        kernel = (self.kernel_width * width, 2 * width)
        self.kernel = add("kernel", *kernel, initializer="glorot_uniform")
        self.norm = add("norm", 2 * width, initializer="ones")
        self.bias = add("bias", 2 * width, initializer="zeros")
        self.built = True

    def initial_memory(self, batch_size: Any) -> tuple[Array]:
        """Return the zeros before the first step."""
        shape = (batch_size, self.kernel_width - 1, self.norm.shape[0] // 2)
        return (ops.zeros(shape, "float32"),)

    def call(
        self, x: Array, past: Array, training: bool = False
    ) -> tuple[Array, tuple[Array]]:
        """See the class."""
        dtype = self.compute_dtype
        wide = accumulator(dtype)
        x = ops.cast(x, wide)
        before = self.kernel_width - 1
        inputs = ops.concatenate([ops.cast(past, wide), x], axis=1)
        seen = [inputs[:, i : i - before or None] for i in range(self.kernel_width)]
        column = ops.cast(self.kernel, wide)
        length = ops.sqrt(ops.sum(ops.square(column), axis=0))
        weights = column * (ops.cast(self.norm, wide) / length)
        sums = product(
            ops.cast(ops.concatenate(seen, axis=-1), dtype), ops.cast(weights, dtype)
        )
        value, gate = ops.split(sums + ops.cast(self.bias, wide), 2, axis=-1)
        added = self._dropout(value * ops.sigmoid(gate), training=training)
        # TensorFlow may not know the steps, but it knows the state's shape.
        kept = ops.reshape(inputs[:, -before:], ops.shape(past))
        output = x + ops.cast(added, wide)
        return ops.cast(output, dtype), (ops.cast(kept, "float32"),)

    def compute_output_spec(self, x: Any, past: Any, training: bool = False) -> Any:
        """See `keras.layers.Layer`."""
        kept = keras.KerasTensor(past.shape, dtype="float32")
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype), (kept,)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        own = {
            "kernel_width": self.kernel_width,
            "dropout": self.rate,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}


def convolution_weights(width: int, kernel_width: int) -> int:
    """Return how many numbers a layer over vectors of `width` keeps."""
    return 2 * width * (kernel_width * width + 2)
