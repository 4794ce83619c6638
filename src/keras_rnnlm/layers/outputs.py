"""From hidden vectors to float32 logits over the vocabulary, tied or free."""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.layers.kernels import softmax
from keras_rnnlm.layers.kernels.fused_cross_entropy import FusedCrossEntropy
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.kernels.products import accumulator, product

Array = Any


@keras.saving.register_keras_serializable("keras_rnnlm")
class Output(keras.layers.Layer):
    """Logits = hidden E' + bias, always in float32 or better.

    Tied (Inan et al. 2017; Press and Wolf 2017), the matrix is the embedding's and is
    passed at each call, so that the layer that made it remains its only owner; free,
    the layer has a `kernel` (D, V) of its own. Under a mixed policy the operands of
    the product are 16-bit, its sums and the bias float32.

    `cross_entropy` computes what a training step needs of the logits without ever
    having all of them in memory; `loop` says what its last call ran, "native" (C++)
    or "chunks" (the backend's own operations).

    Args:
        vocabulary_size: V, the number of logits.
        tied: whether the matrix comes with the call.
        use_bias: whether to add a bias.
        kernel_initializer: of the free matrix.
        bias_initializer: of the bias.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        hidden: (..., D).
        embeddings: (V, D), a tensor or a variable, if tied.

    Returns:
        (..., V) in float32, or in float64 under a float64 policy.

    Raises:
        ValueError: if a matrix is missing, superfluous or of another shape.

    Example:
        >>> embedding = keras_rnnlm.layers.Embedding(100, 32)
        >>> output = keras_rnnlm.layers.Output(100, tied=True)
        >>> logits = output(embedding(tokens), embedding.embeddings)
    """

    def __init__(
        self,
        vocabulary_size: int,
        tied: bool = False,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        super().__init__(**options)
        self.vocabulary_size = vocabulary_size
        self.tied = tied
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True
        self.kernel: Any = None
        self.bias: Any = None
        self.loop: str | None = None

    def build(self, hidden_shape: Any, embeddings_shape: Any = None) -> None:
        """Make the bias and, unless tied, the matrix."""
        self._check(hidden_shape, embeddings_shape)
        if not self.tied:
            self.kernel = self.add_weight(
                shape=(hidden_shape[-1], self.vocabulary_size),
                initializer=self.kernel_initializer,
                name="kernel",
                # Cast for a product alone, so that its gradient stays in float32.
                autocast=False,
            )
        if self.use_bias:
            # Not cast to 16 bits under a mixed policy: it is added to float32 sums.
            self.bias = self.add_weight(
                shape=(self.vocabulary_size,),
                initializer=self.bias_initializer,
                name="bias",
                autocast=False,
            )

    def call(self, hidden: Array, embeddings: Array = None) -> Array:
        """See the class."""
        self._check(hidden.shape, None if embeddings is None else embeddings.shape)
        if self.tied:
            matrix = ops.transpose(ops.cast(embeddings, self.compute_dtype))
        else:
            matrix = ops.cast(self.kernel, self.compute_dtype)
        logits = product(hidden, matrix)
        if self.bias is None:
            return logits
        return logits + ops.cast(self.bias, accumulator(self.compute_dtype))

    def log_probabilities(self, hidden: Array, embeddings: Array = None) -> Array:
        """Natural log-probabilities (..., V) of hidden vectors; arguments as in call.

        They sum to one exactly, whatever `cross_entropy` does in training.
        """
        return ops.log_softmax(
            self(hidden) if embeddings is None else self(hidden, embeddings), axis=-1
        )

    def cross_entropy(
        self,
        hidden: Array,
        targets: Array,
        weights: Array,
        embeddings: Array = None,
        training: bool = False,
    ) -> Outcome:
        """The loss of targets in one pass, of its logits one chunk at a time.

        Args:
            hidden: (..., D).
            targets: (...) of integers in [0, V).
            weights: (...): of each position in the loss; not differentiated by.
            embeddings: (V, D), if tied.
            training: Whether the loss will be differentiated.

        Returns:
            Loss (a scalar, in nats), and nats and correctness (...) of each target.
        """
        self._check(hidden.shape, None if embeddings is None else embeddings.shape)
        self.loop = self.planned_loop()
        # Not `loop`: what a sampled output plans is for its training alone.
        kernel = softmax.choose(self.compute_dtype)
        function = FusedCrossEntropy(self.tied, self.compute_dtype, kernel)
        found = function(
            ops.reshape(hidden, (-1, hidden.shape[-1])),
            ops.convert_to_tensor(embeddings if self.tied else self.kernel),
            None if self.bias is None else ops.convert_to_tensor(self.bias),
            ops.reshape(ops.cast(targets, "int32"), (-1,)),
            ops.reshape(weights, (-1,)),
            training,
        )
        return found.shaped(ops.shape(targets))

    def planned_loop(self) -> str:
        """What `cross_entropy` will run; `loop` says what its last call ran."""
        return softmax.choose(self.compute_dtype)

    def _check(self, hidden_shape: Any, embeddings_shape: Any) -> None:
        if not self.tied:
            if embeddings_shape is not None:
                raise ValueError(
                    "Output expected no embeddings, since it is not tied: "
                    "received a matrix; make it with tied=True."
                )
            return
        expected = (self.vocabulary_size, hidden_shape[-1])
        if embeddings_shape is None or tuple(embeddings_shape) != expected:
            received = None if embeddings_shape is None else tuple(embeddings_shape)
            raise ValueError(
                f"Output expected embeddings of shape {expected} (vocabulary, hidden "
                f"size), since it is tied, received {received}: pass the embedding's "
                "matrix, and project the hidden vectors to its width where they differ."
            )

    def compute_output_shape(
        self, hidden_shape: Any, embeddings_shape: Any = None
    ) -> tuple[int | None, ...]:
        """(..., V)."""
        return (*hidden_shape[:-1], self.vocabulary_size)

    def compute_output_spec(self, hidden: Any, embeddings: Any = None) -> Any:
        """See `keras.layers.Layer`; the type is float32 under 16-bit policies."""
        self._check(hidden.shape, None if embeddings is None else embeddings.shape)
        return keras.KerasTensor(
            self.compute_output_shape(hidden.shape),
            dtype=accumulator(self.compute_dtype),
        )

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "tied": self.tied,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
