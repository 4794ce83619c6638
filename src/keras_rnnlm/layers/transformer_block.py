"""A block of a Transformer whose memory of past steps is a state like any other."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.products import accumulator, contraction, product
from keras_rnnlm.layers.observed import tell
from keras_rnnlm.layers.regularizers import checked_rate

Array = Any
Memory = tuple[Array, Array, Array]
"""Keys and values (B, C - 1, D), the newest last, and how many count (B, 1)."""

LONGEST = 16384
WIDENING = 4
"""Width of the perceptron, as a multiple of the block's."""
LOWEST = -1e30
"""In place of the scores of places that are not to be seen."""
_LONGEST_WAVE = 10_000.0


@keras.saving.register_keras_serializable("keras_rnnlm")
class TransformerBlock(keras.layers.Layer):
    """Causal self-attention and a perceptron, each added to what it reads.

    Of Vaswani et al. (2017), normalised before each part (Radford et al. 2019) and
    without biases:

        a_t = x_t + W_o [head_1; ...; head_H]_t,      n_t = LayerNorm(x_t)
        y_t = a_t + W_2 gelu(W_1 LayerNorm(a_t))

    where head h mixes its share of the values of the step itself and the C - 1 before,

        head_t = sum_j softmax_j((R_t q_t) (R_j k_j) / sqrt(D / H)) v_j,
        q, k, v = W_q n, W_k n, W_v n,                t - C < j <= t

    and R are rotations by position (Su et al. 2021): scores depend on the distance
    t - j alone. So keys are kept unrotated, places are counted within what is seen,
    and a text may go on for ever and be cut anywhere (Dai et al. 2019 carry hidden
    vectors from segment to segment in the same way).

    Args:
        heads: H, number of heads; D is a multiple of 2 H.
        context: C, number of steps that a head sees, the present one included.
        dropout: Rate of dropout on attention's shares and on both additions.
        seed: Of dropout; None draws one.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        x: (B, T, D).
        keys: (B, C - 1, D) of the steps before.
        values: the same.
        count: (B, 1), how many of them are filled.
        training: whether to drop.

    Returns:
        (B, T, D) and the memory after the last step, in float32.

    Raises:
        ConfigError: if heads, context or rate are out of range.
    """

    def __init__(
        self,
        heads: int,
        context: int,
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        # The count of a memory must not become 16-bit; products cast for themselves.
        super().__init__(autocast=False, **options)
        if heads < 1:
            raise ConfigError(f"Expected 1 head or more, received {heads}.")
        if not 2 <= context <= LONGEST:
            raise ConfigError(
                f"Expected a context of 2 to {LONGEST} steps, received {context}."
            )
        self.heads, self.context, self.seed = heads, context, seed
        self.rate = checked_rate(dropout, "TransformerBlock's dropout")
        seeds = np.random.SeedSequence(seed).generate_state(3) >> 1
        self._dropouts = [
            keras.layers.Dropout(self.rate, seed=each, dtype=self.dtype_policy)
            for each in seeds.tolist()
        ]

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        width = input_shape[-1]
        check_heads(width, self.heads)
        for name, shape in {
            "attention_scale": (width,),
            "attention_kernel": (width, 3 * width),
            "mixing_kernel": (width, width),
            "perceptron_scale": (width,),
            "widening_kernel": (width, WIDENING * width),
            "narrowing_kernel": (WIDENING * width, width),
        }.items():
            initializer = "ones" if name.endswith("scale") else "glorot_uniform"
            setattr(
                self,
                name,
                self.add_weight(
                    shape=shape, initializer=initializer, name=name, autocast=False
                ),
            )
        self.built = True

    def initial_memory(self, batch_size: Any) -> Memory:
        """Return a memory of zeros, of which none counts."""
        shape = (batch_size, self.context - 1, self.attention_scale.shape[0])
        keys, values = ops.zeros(shape, "float32"), ops.zeros(shape, "float32")
        return keys, values, ops.zeros((batch_size, 1), "float32")

    def call(
        self,
        x: Array,
        keys: Array,
        values: Array,
        count: Array,
        training: bool = False,
    ) -> tuple[Array, Memory]:
        """See the class."""
        wide = accumulator(self.compute_dtype)
        x = ops.cast(x, wide)
        drop_shares, drop_mixed, drop_narrowed = self._dropouts
        mixed, memory = self._attend(
            layer_norm(x, self.attention_scale),
            (keys, values, count),
            lambda shares: drop_shares(shares, training=training),
        )
        x = x + ops.cast(drop_mixed(mixed, training=training), wide)
        normal = layer_norm(x, self.perceptron_scale)
        narrowed = self._times(
            ops.gelu(self._times(normal, self.widening_kernel)), self.narrowing_kernel
        )
        x = x + ops.cast(drop_narrowed(narrowed, training=training), wide)
        return ops.cast(x, self.compute_dtype), memory

    def _attend(self, normal: Array, memory: Memory, drop: Any) -> tuple[Array, Memory]:
        """What the heads add, and the memory after it."""
        past_keys, past_values, count = memory
        wide, past = normal.dtype, self.context - 1
        steps = ops.shape(normal)[1]
        queries, keys, values = ops.split(
            self._times(normal, self.attention_kernel), 3, axis=-1
        )
        keys = ops.concatenate([ops.cast(past_keys, wide), keys], axis=1)
        values = ops.concatenate([ops.cast(past_values, wide), values], axis=1)
        places = ops.arange(past + steps, dtype="int32")

        turned = self._rotated(keys, places)
        asked = self._rotated(queries, places[past:])
        scores = contraction("bthd,bshd->bhts", asked, turned)
        scores = scores * (normal.shape[-1] // self.heads) ** -0.5
        # The step at place t + C - 1 sees places t to t + C - 1 that are filled.
        ahead = places[None, :] - ops.arange(steps, dtype="int32")[:, None]
        near = ops.logical_and(ahead >= 0, ahead <= past)  # (T, C - 1 + T)
        filled = places[None, :] >= past - ops.cast(count, "int32")  # (B, C - 1 + T)
        allowed = ops.logical_and(near[None], filled[:, None])
        shares = ops.softmax(ops.where(allowed[:, None], scores, LOWEST), axis=-1)
        tell("attention", shares)
        mixed = contraction(
            "bhts,bshd->bthd", self._narrow(drop(shares)), self._split(values)
        )
        mixed = ops.reshape(mixed, ops.shape(normal))

        def kept(array: Array, like: Array) -> Array:
            # TensorFlow may not know the steps, but it knows the memory's shape.
            return ops.cast(ops.reshape(array[:, -past:], ops.shape(like)), "float32")

        count = ops.minimum(count + ops.cast(steps, "float32"), float(past))
        after = kept(keys, past_keys), kept(values, past_values), count
        return self._times(mixed, self.mixing_kernel), after

    def _times(self, x: Array, kernel: Any) -> Array:
        return product(self._narrow(x), self._narrow(kernel))

    def _narrow(self, x: Array) -> Array:
        return ops.cast(x, self.compute_dtype)

    def _split(self, x: Array) -> Array:
        """(B, S, D) to (B, S, heads, D / heads), in the precision of products."""
        batch, steps, width = ops.shape(x)
        shape = (batch, steps, self.heads, width // self.heads)
        return ops.reshape(self._narrow(x), shape)

    def _rotated(self, x: Array, places: Array) -> Array:
        """Each head's vectors (B, S, D) turned by their places (S,): R x."""
        half = x.shape[-1] // self.heads // 2
        rates = _LONGEST_WAVE ** -(np.arange(half) / half)
        angles = ops.cast(places, x.dtype)[:, None] * ops.cast(rates, x.dtype)
        cosine, sine = ops.cos(angles)[:, None], ops.sin(angles)[:, None]
        batch, steps, width = ops.shape(x)
        pairs = ops.reshape(x, (batch, steps, self.heads, width // self.heads))
        one, two = pairs[..., :half], pairs[..., half:]
        turned = [one * cosine - two * sine, one * sine + two * cosine]
        return self._narrow(ops.concatenate(turned, axis=-1))

    def compute_output_spec(self, x: Any, *memory: Any, training: bool = False) -> Any:
        """See `keras.layers.Layer`."""
        tensors = [keras.KerasTensor(part.shape, dtype="float32") for part in memory]
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype), tuple(tensors)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        own = {
            "heads": self.heads,
            "context": self.context,
            "dropout": self.rate,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}


def layer_norm(x: Array, scale: Any) -> Array:
    """`x` (..., D) to mean 0 and variance 1, times a scale (Ba et al. 2016)."""
    mean = ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
    return (x - mean) * ops.rsqrt(variance + 1e-5) * ops.cast(scale, x.dtype)


def check_heads(width: int, heads: int) -> None:
    """Raise `ConfigError` unless heads can share a width and turn their vectors."""
    if width % (2 * heads):
        raise ConfigError(
            f"Expected a width that is a multiple of 2 x {heads} heads, received "
            f"{width}: take units={-(-width // (2 * heads)) * 2 * heads}, or another "
            "number of heads."
        )


def transformer_weights(width: int) -> int:
    """Return how many numbers a block over vectors of `width` keeps."""
    return (4 + 2 * WIDENING) * width * width + 2 * width
