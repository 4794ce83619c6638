"""Dropout for recurrent networks: locked, whole words, recurrent weights.

Every random operation draws from a `keras.random.SeedGenerator` of its own, whose
state is a variable of the layer: with a seed given, a saved and restored layer goes
on with the very masks that it would have drawn.
"""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.products import product

Array = Any


def checked_rate(rate: float, name: str) -> float:
    """`rate` as a float.

    Raises:
        ConfigError: unless 0 <= rate < 1.
    """
    if not 0.0 <= rate < 1.0:
        raise ConfigError(
            f"{name} expected a rate of at least 0 and below 1, received {rate!r}: "
            "give the fraction to drop."
        )
    return float(rate)


def drop(x: Array, rate: float, seed: Any, noise_shape: Any = None) -> Array:
    """`x` with a fraction `rate` set to zero and the rest scaled by 1 / (1 - rate)."""
    return keras.random.dropout(x, rate, noise_shape=noise_shape, seed=seed)


@keras.saving.register_keras_serializable("keras_rnnlm")
class LockedDropout(keras.layers.Layer):
    """Dropout with one mask for all time steps of a sequence.

    Variational dropout of Gal and Ghahramani (2016), called locked dropout by Merity,
    Keskar and Socher (2018): a unit that is dropped stays dropped from the first
    step of the batch to the last. Does nothing outside training.

    Args:
        rate: fraction of the features to drop, at least 0 and below 1.
        seed: seed of the masks; None draws one.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        inputs: (B, T, D), any float type.
        training: whether to drop.

    Returns:
        (B, T, D).

    Raises:
        ConfigError: if the rate is out of range.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        """Make the layer; the arguments are those of the class."""
        super().__init__(**options)
        self.rate = checked_rate(rate, "LockedDropout")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if self.rate else None
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self._build_at_init()

    def call(self, inputs: Array, training: bool = False) -> Array:
        """See the class."""
        if not training or self.seed_generator is None:
            return inputs
        batch, _, features = ops.shape(inputs)
        return drop(inputs, self.rate, self.seed_generator, (batch, 1, features))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("keras_rnnlm")
class Embedding(keras.layers.Embedding):
    """`keras.layers.Embedding` that can drop whole words.

    Embedding dropout of Gal and Ghahramani (2016) as Merity, Keskar and Socher (2018)
    use it: in training, a dropped word has the zero vector wherever it stands in the
    batch, the others are scaled by 1 / (1 - dropout). `embeddings`, the matrix that
    an output layer may be tied to, stays whole.

    Args:
        input_dim: number of words V.
        output_dim: size of a vector.
        *arguments: further arguments of `keras.layers.Embedding`, in its order.
        projection: width D of a linear layer behind the vectors, for a matrix whose
            width is not the wanted one; None for none, D being `output_dim`.
        dropout: fraction of the vocabulary to drop, at least 0 and below 1.
        seed: seed of the masks; None draws one.
        **options: keyword arguments of `keras.layers.Embedding`.

    Call arguments:
        inputs: (...) of integers in [0, V); in training a negative one stands for no
            word and has the zero vector.
        training: whether to drop.

    Returns:
        (..., D).

    Raises:
        ConfigError: if the rate is out of range.
    """

    # Also while Keras's constructor builds the layer around given `weights`.
    projection: int | None = None
    kernel: Any = None

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *arguments: Any,
        projection: int | None = None,
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        given = options.pop("weights", None)
        super().__init__(input_dim, output_dim, *arguments, **options)
        if projection is not None and (given is not None or self.built):
            raise ConfigError(
                "Embedding expected no weights beside a projection, received both: "
                "assign them to `embeddings` once the layer is built."
            )
        self.projection = projection
        self.dropout = checked_rate(dropout, "Embedding's dropout")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if self.dropout else None
        if given is not None:
            # Not by Keras's constructor: a built layer takes no generator any more.
            self.build()
            one = isinstance(given, list) and len(given) == 1
            self.set_weights(given if one else [given])

    def build(self, input_shape: Any = None) -> None:
        """Make the matrix of vectors, and that of the projection."""
        if not self.built and self.projection is not None:
            # Cast for a product alone, so that its gradient stays in float32.
            self.kernel = self.add_weight(
                shape=(self.output_dim, self.projection),
                initializer="glorot_uniform",
                name="projection",
                autocast=False,
            )
        super().build(input_shape)

    def call(self, inputs: Array, training: bool = False) -> Array:
        """See the class."""
        if not training:
            return self._projected(super().call(inputs))
        inputs = ops.cast(inputs, "int32")
        words = ops.maximum(inputs, 0)
        scale = ops.cast(inputs >= 0, self.compute_dtype)
        if self.seed_generator is not None:
            scale = scale * ops.take(self._kept(), words, axis=0)
        return self._projected(super().call(words)) * ops.expand_dims(scale, -1)

    def rows(self, inputs: Array, training: bool = False) -> tuple[Array, Array]:
        """Vectors (V', D) and ids into them, of the shape of `inputs`: a call, undone.

        `vectors[ids]` is what a call returns, with the same masks.
        """
        vectors = ops.cast(ops.convert_to_tensor(self.embeddings), self.compute_dtype)
        vectors = self._projected(vectors)
        inputs = ops.cast(inputs, "int32")
        if not training:
            return vectors, inputs
        if self.seed_generator is not None:
            kept = self._kept()
            vectors = vectors * ops.expand_dims(kept, -1)
        none = ops.zeros((1, vectors.shape[-1]), self.compute_dtype)
        ids = ops.where(inputs < 0, self.input_dim, inputs)
        return ops.concatenate([vectors, none]), ids

    def _projected(self, vectors: Array) -> Array:
        if self.kernel is None:
            return vectors
        kernel = ops.cast(self.kernel, self.compute_dtype)
        return ops.cast(product(vectors, kernel), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(..., D)."""
        return (*input_shape, self.projection or self.output_dim)

    def _kept(self) -> Array:
        """A mask (V,) of words: zero, or what scales the others."""
        ones = ops.ones((self.input_dim,), self.compute_dtype)
        return drop(ones, self.dropout, self.seed_generator)

    def compute_output_spec(self, inputs: Array, training: bool = False) -> Any:
        """See `keras.layers.Layer`."""
        return super().compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "projection": self.projection,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class WeightDrop:
    """Dropout of the elements of a weight matrix, one mask a call.

    DropConnect on the recurrent matrix (Merity, Keskar and Socher 2018): drawn once
    before the loop over time, so that the same connections are missing at every time
    step and any kernel can run the loop. The weights themselves stay whole, and
    outside training they are used as they are.

    Args:
        rate: fraction of the elements to drop, at least 0 and below 1.
        seed: seed of the masks; None draws one.

    Raises:
        ConfigError: if the rate is out of range.
    """

    def __init__(self, rate: float, seed: int | None = None) -> None:
        """Make the regularizer; the arguments are those of the class."""
        self.rate = checked_rate(rate, "weight_dropout")
        self.seed_generator = keras.random.SeedGenerator(seed) if self.rate else None

    def __call__(self, weights: Array, training: bool) -> Array:
        """`weights` with a new mask in training, unchanged otherwise."""
        if not training or self.seed_generator is None:
            return weights
        return drop(weights, self.rate, self.seed_generator)
