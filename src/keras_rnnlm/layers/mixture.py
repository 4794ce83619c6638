"""A mixture of softmaxes: an output layer that is not bound by its rank."""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels import softmax
from keras_rnnlm.layers.kernels.fused_cross_entropy import FusedCrossEntropy
from keras_rnnlm.layers.kernels.mixture_softmax import MixtureCrossEntropy
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.kernels.products import accumulator, product
from keras_rnnlm.layers.regularizers import LockedDropout

Array = Any


@keras.saving.register_keras_serializable("keras_rnnlm")
class MixtureOutput(keras.layers.Layer):
    """P(w) = sum_k pi_k softmax(E tanh(W_k h + b_k) + c)_w, Yang et al. (2018).

    The priors pi = softmax(U h). One softmax can only make log-probabilities of the
    rank of its matrix; a mixture is free of that, at K times the cost of the product.
    Tied, E is the embedding's matrix, passed at each call as with `Output`; the latent
    vectors have its width, so that hidden vectors need not be projected to it.

    Args:
        vocabulary_size: V.
        mixtures: K, the number of softmaxes.
        tied: whether the matrix comes with the call.
        dropout: rate of locked dropout on the latent vectors in training.
        seed: seed of its masks; None draws one.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        hidden: (..., D).
        embeddings: (V, E), if tied.
        training: whether latent vectors are dropped.

    Returns:
        Log-probabilities (..., V) in float32 or better, which sum to one.

    Raises:
        ConfigError: if there are no softmaxes, or the rate is out of range.
    """

    def __init__(
        self,
        vocabulary_size: int,
        mixtures: int = 4,
        tied: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        super().__init__(**options)
        if mixtures < 1:
            raise ConfigError(
                f"MixtureOutput expected mixtures of 1 or more, received {mixtures}: "
                "give the number of softmaxes, such as 4."
            )
        self.vocabulary_size = vocabulary_size
        self.mixtures = mixtures
        self.tied = tied
        self.dropout = LockedDropout(dropout, seed, dtype=self.dtype_policy)
        self.supports_masking = True
        self.kernel: Any = None
        self.loop: str | None = None

    def build(self, hidden_shape: Any, embeddings_shape: Any = None) -> None:
        """Make the weights."""
        if self.tied != (embeddings_shape is not None):
            raise ValueError(
                "MixtureOutput expected the embeddings' matrix if and only if it is "
                f"tied: received tied={self.tied}, embeddings {embeddings_shape}."
            )
        width = hidden_shape[-1]
        latent = embeddings_shape[-1] if self.tied else width

        def add(name: str, *shape: int, initializer: str = "glorot_uniform") -> Any:
            # Cast for a product alone, so that gradients stay in float32.
            return self.add_weight(
                shape=shape, initializer=initializer, name=name, autocast=False
            )

        self.prior_kernel = add("prior_kernel", width, self.mixtures)
        self.latent_kernel = add("latent_kernel", width, self.mixtures * latent)
        self.latent_bias = add(
            "latent_bias", self.mixtures * latent, initializer="zeros"
        )
        if not self.tied:
            self.kernel = add("kernel", latent, self.vocabulary_size)
        self.bias = add("bias", self.vocabulary_size, initializer="zeros")

    def call(
        self, hidden: Array, embeddings: Array = None, training: bool = False
    ) -> Array:
        """See the class."""
        latent, log_priors = self._latent(hidden, training)
        if self.tied:
            matrix = ops.transpose(ops.cast(embeddings, self.compute_dtype))
        else:
            matrix = ops.cast(self.kernel, self.compute_dtype)
        bias = ops.cast(self.bias, accumulator(self.compute_dtype))
        total = None
        for k in range(self.mixtures):  # two arrays (..., V) at a time, not K
            logits = product(latent[..., k, :], matrix) + bias
            part = ops.log_softmax(logits, axis=-1) + log_priors[..., k, None]
            total = part if total is None else ops.logaddexp(total, part)
        return total

    def log_probabilities(self, hidden: Array, embeddings: Array = None) -> Array:
        """Natural log-probabilities (..., V) of hidden vectors: those of a call."""
        return self(hidden) if embeddings is None else self(hidden, embeddings)

    def cross_entropy(
        self,
        hidden: Array,
        targets: Array,
        weights: Array,
        embeddings: Array = None,
        training: bool = False,
    ) -> Outcome:
        """The loss of targets in one pass; see `Output.cross_entropy`."""
        self.loop = self.planned_loop()
        full = FusedCrossEntropy(self.tied, self.compute_dtype, self.loop)
        latent, log_priors = self._latent(hidden, training)
        found = MixtureCrossEntropy(full)(
            ops.reshape(latent, (-1, *latent.shape[-2:])),
            ops.reshape(log_priors, (-1, self.mixtures)),
            ops.convert_to_tensor(embeddings if self.tied else self.kernel),
            ops.convert_to_tensor(self.bias),
            ops.reshape(ops.cast(targets, "int32"), (-1,)),
            ops.reshape(weights, (-1,)),
            training,
        )
        return found.shaped(ops.shape(targets))

    def planned_loop(self) -> str:
        """What `cross_entropy` will run; `loop` says what its last call ran."""
        return softmax.choose(self.compute_dtype)

    def _latent(self, hidden: Array, training: bool = False) -> tuple[Array, Array]:
        """Latent vectors (..., K, E) and log-priors (..., K), in float32 or better."""
        wide = accumulator(self.compute_dtype)
        narrow = ops.cast(hidden, self.compute_dtype)
        priors = product(narrow, ops.cast(self.prior_kernel, self.compute_dtype))
        latent = product(narrow, ops.cast(self.latent_kernel, self.compute_dtype))
        latent = ops.tanh(latent + ops.cast(self.latent_bias, wide))
        if training and self.dropout.rate and len(latent.shape) == 2:
            # Rows without a time axis are sequences of one step.
            latent = self.dropout(ops.expand_dims(latent, 1), training=True)[:, 0]
        elif training and self.dropout.rate:
            latent = self.dropout(latent, training=True)
        width = self.latent_bias.shape[0] // self.mixtures
        shape = (*ops.shape(latent)[:-1], self.mixtures, width)
        latent = ops.cast(ops.reshape(latent, shape), self.compute_dtype)
        return latent, ops.log_softmax(priors, axis=-1)

    def compute_output_shape(
        self, hidden_shape: Any, embeddings_shape: Any = None
    ) -> tuple[int | None, ...]:
        """(..., V)."""
        return (*hidden_shape[:-1], self.vocabulary_size)

    def compute_output_spec(
        self, hidden: Any, embeddings: Any = None, training: bool = False
    ) -> Any:
        """See `keras.layers.Layer`; the type is float32 under 16-bit policies."""
        return keras.KerasTensor(
            self.compute_output_shape(hidden.shape),
            dtype=accumulator(self.compute_dtype),
        )

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "mixtures": self.mixtures,
            "tied": self.tied,
            "dropout": self.dropout.rate,
            "seed": self.dropout.seed,
        }
