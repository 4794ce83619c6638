"""Attention of a recurrent network to its own past, with a memory of bounded length."""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.products import accumulator, contraction, product
from keras_rnnlm.layers.observed import tell

Array = Any
Memory = tuple[Array, Array]
"""Normalised hidden vectors (B, M, D), the newest last, and how many count (B, 1)."""

LONGEST = 16384
SMALL = 0.1
LOWEST = -1e30
"""In place of the scores of places that are not to be seen."""


@keras.saving.register_keras_serializable("keras_rnnlm")
class CausalAttention(keras.layers.Layer):
    """One attention head over the last M hidden vectors and the present one.

    After the SHA-RNN (Merity 2019): the query alone has a matrix, keys and values are
    the normalised hidden vectors scaled feature by feature,

        n_t = LayerNorm(h_t)
        q_t = W_q n_t,   k_j = s_k * n_j,   v_j = s_v * n_j
        y_t = h_t + sum_j softmax_j(q_t k_j / sqrt(D)) v_j,    t - M <= j <= t

    and the network itself knows about time, so that there are no positions. Each step
    attends to as many vectors, however a text is cut: the memory is a value like a
    recurrent state, passed in and returned.

    Args:
        memory: M, the number of past vectors.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        hidden: (B, T, D).
        memory: as returned, or as `initial_memory` gives it; an empty one if None.

    Returns:
        (B, T, D) and the memory after the last step, in float32.

    Raises:
        ConfigError: if there is to be no memory, or one longer than 16384.
    """

    def __init__(self, memory: int, **options: Any) -> None:
        """Make the layer; the arguments are those of the class."""
        # In 16 bits the memory's count would be exact to 256 only.
        super().__init__(autocast=False, **options)
        if not 1 <= memory <= LONGEST:
            raise ConfigError(
                f"CausalAttention expected a memory of 1 to {LONGEST}, received "
                f"{memory}: give the number of past steps to attend to, such as 256."
            )
        self.memory = memory

    def build(self, hidden_shape: Any, memory_shape: Any = None) -> None:
        """Make the weights."""
        width = hidden_shape[-1]

        def add(name: str, *shape: int, initializer: Any) -> Any:
            return self.add_weight(
                shape=shape, initializer=initializer, name=name, autocast=False
            )

        self.norm_scale = add("norm_scale", width, initializer="ones")
        self.norm_bias = add("norm_bias", width, initializer="zeros")
        self.query_kernel = add(
            "query_kernel", width, width, initializer="glorot_uniform"
        )
        self.key_scale = add("key_scale", width, initializer="ones")
        # Small, so that at first the network is nearly the one without attention.
        small = keras.initializers.Constant(SMALL)
        self.value_scale = add("value_scale", width, initializer=small)

    def initial_memory(self, batch_size: Any) -> Memory:
        """Return the empty memory of a built layer: zeros, of which none count."""
        width = self.norm_scale.shape[0]
        return (
            ops.zeros((batch_size, self.memory, width), "float32"),
            ops.zeros((batch_size, 1), "float32"),
        )

    def call(self, hidden: Array, memory: Memory | None = None) -> tuple[Array, Memory]:
        """See the class."""
        if memory is None:
            memory = self.initial_memory(ops.shape(hidden)[0])
        past, count = memory
        steps, dtype = ops.shape(hidden)[1], self.compute_dtype
        wide = accumulator(dtype)
        normal = self._normalised(ops.cast(hidden, wide))
        vectors = ops.concatenate([ops.cast(past, wide), normal], axis=1)

        # Two vectors of scales and the root of D go into the queries, which are fewer.
        scale = ops.cast(self.key_scale, wide) * normal.shape[-1] ** -0.5
        kernel = ops.cast(self.query_kernel, dtype)
        queries = product(ops.cast(normal, dtype), kernel) * scale
        narrow = ops.cast(vectors, dtype)
        scores = contraction("btd,bsd->bts", ops.cast(queries, dtype), narrow)
        allowed = self._allowed(steps, count)
        shares = ops.softmax(ops.where(allowed, scores, LOWEST), axis=-1)
        tell("attention", shares)
        mixed = contraction("bts,bsd->btd", ops.cast(shares, dtype), narrow)
        output = ops.cast(hidden, wide) + mixed * ops.cast(self.value_scale, wide)
        # TensorFlow may not know the steps, but it knows the memory's shape.
        kept = ops.reshape(vectors[:, -self.memory :], ops.shape(past))
        count = ops.minimum(count + ops.cast(steps, "float32"), float(self.memory))
        return ops.cast(output, dtype), (ops.cast(kept, "float32"), count)

    def _normalised(self, hidden: Array) -> Array:
        mean = ops.mean(hidden, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(hidden - mean), axis=-1, keepdims=True)
        normal = (hidden - mean) * ops.rsqrt(variance + 1e-5)
        scale, bias = (ops.cast(w, hidden.dtype) for w in self._norm)
        return normal * scale + bias

    @property
    def _norm(self) -> tuple[Any, Any]:
        return self.norm_scale, self.norm_bias

    def _allowed(self, steps: Any, count: Array) -> Array:
        """(B, T, M + T): step t sees places t to M + t that hold something."""
        places = ops.arange(self.memory + steps, dtype="int32")
        ahead = places[None, :] - ops.arange(steps, dtype="int32")[:, None]
        near = ops.logical_and(ahead >= 0, ahead <= self.memory)  # (T, M + T)
        empty = self.memory - ops.cast(count, "int32")  # (B, 1)
        filled = places[None, :] >= empty  # (B, M + T)
        return ops.logical_and(near[None], filled[:, None])

    def compute_output_spec(self, hidden: Any, memory: Any = None) -> Any:
        """See `keras.layers.Layer`."""
        batch, _, width = hidden.shape
        shape = (batch, self.memory, width)
        return keras.KerasTensor(hidden.shape, dtype=self.compute_dtype), (
            keras.KerasTensor(shape, dtype="float32"),
            keras.KerasTensor((batch, 1), dtype="float32"),
        )

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "memory": self.memory}


def attention_weights(width: int) -> int:
    """Return how many numbers a layer over vectors of `width` keeps."""
    return width * (width + 4)
