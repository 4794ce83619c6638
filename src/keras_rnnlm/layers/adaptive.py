"""An output layer whose words cost the less, the rarer they are."""

from itertools import pairwise
from typing import Any

import keras
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels import softmax
from keras_rnnlm.layers.kernels.adaptive_softmax import AdaptiveSoftmax
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.kernels.products import accumulator
from keras_rnnlm.layers.word_ranks import WordRanks

Array = Any


def default_cutoffs(vocabulary_size: int) -> tuple[int, ...]:
    """Return where clusters begin: V^0.8, or V^0.75 and V^0.9 from 20,000 words on."""
    powers = (0.8,) if vocabulary_size < 20_000 else (0.75, 0.9)
    return tuple(max(1, int(vocabulary_size**power)) for power in powers)


@keras.saving.register_keras_serializable("keras_rnnlm")
class AdaptiveOutput(WordRanks, keras.layers.Layer):
    """Adaptive softmax (Grave et al. 2017): rare words stand in clusters.

    A head has the most frequent words and an entry for each cluster of rarer ones; a
    word of a cluster has the probability of the cluster times that of the word in it.
    Cluster i, from 1 on, sees the hidden vector through a projection to D / factor^i.
    In training only positions whose target is in a cluster compute its softmax.
    Probabilities sum to one, in training as well.

    Args:
        vocabulary_size: V.
        cutoffs: ranks at which clusters begin, rising, within (0, V);
            `default_cutoffs` if None.
        factor: by how much each cluster's vectors are narrower than the one's before.
        kernel_initializer: of all matrices.
        bias_initializer: of all biases.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        hidden: (..., D).

    Returns:
        Natural log-probabilities (..., V) in float32, or float64 under a float64
        policy. They are logits too: a softmax of them changes nothing.

    Raises:
        ConfigError: if the cutoffs do not rise within (0, V), or factor is below 1.
    """

    tied = False

    def __init__(
        self,
        vocabulary_size: int,
        cutoffs: Any = None,
        factor: int = 4,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        super().__init__(**options)
        self.vocabulary_size = vocabulary_size
        chosen = default_cutoffs(vocabulary_size) if cutoffs is None else cutoffs
        self.cutoffs = tuple(int(cutoff) for cutoff in chosen)
        bounds = (0, *self.cutoffs, vocabulary_size)
        if not self.cutoffs or any(a >= b for a, b in pairwise(bounds)):
            raise ConfigError(
                f"AdaptiveOutput expected cutoffs that rise within (0, "
                f"{vocabulary_size}), the size of the vocabulary, received "
                f"{list(self.cutoffs)}: give the ranks at which rarer words begin."
            )
        if factor < 1:
            raise ConfigError(
                f"AdaptiveOutput expected a factor of 1 or more, received {factor}: "
                "4 makes each cluster's vectors a quarter as wide as the one's before."
            )
        self.factor = factor
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True
        if keras.backend.backend() == "tensorflow":
            self.supports_jit = False  # a cluster has as many rows as it happens to
        self.loop: str | None = None
        self._parts: list[Any] = []

    def build(self, hidden_shape: Any) -> None:
        """Make head, clusters and the order of the words."""
        width, first = hidden_shape[-1], self.cutoffs[0]
        names = [("head", (width, first + len(self.cutoffs)))]
        bounds = (*self.cutoffs, self.vocabulary_size)
        for i, (begin, end) in enumerate(pairwise(bounds)):
            narrow = max(1, width // self.factor ** (i + 1))
            names.append((f"projection_{i}", (width, narrow)))
            names.append((f"tail_{i}", (narrow, end - begin)))
        for name, shape in names:
            projection = name.startswith("projection")
            self._parts.append(
                self.add_weight(
                    shape=shape,
                    initializer=self.kernel_initializer,
                    name=name if projection else f"{name}_kernel",
                    # Cast for a product alone, so that its gradient stays in float32.
                    autocast=False,
                )
            )
            if not projection:
                self._parts.append(
                    self.add_weight(
                        shape=shape[1:],
                        initializer=self.bias_initializer,
                        name=f"{name}_bias",
                        autocast=False,
                    )
                )
        self._add_order()

    def call(self, hidden: Array) -> Array:
        """See the class."""
        rows = ops.reshape(hidden, (-1, hidden.shape[-1]))
        by_rank = self._kernel().log_probabilities(rows, self._weights())
        by_id = ops.take(by_rank, self.order[0], axis=-1)
        shape = (*ops.shape(hidden)[:-1], self.vocabulary_size)
        return ops.reshape(by_id, shape)

    def log_probabilities(self, hidden: Array) -> Array:
        """Natural log-probabilities (..., V) of hidden vectors (..., D)."""
        return self(hidden)

    def cross_entropy(
        self,
        hidden: Array,
        targets: Array,
        weights: Array,
        embeddings: Array = None,
        training: bool = False,
    ) -> Outcome:
        """The loss of targets in one pass; see `Output.cross_entropy`.

        In training a target counts as the likeliest if its cluster is, and it is the
        likeliest word there: that needs no other words.
        """
        if embeddings is not None:
            raise ValueError(
                "AdaptiveOutput expected no embeddings, since it has matrices of its "
                "own: received a matrix; leave it out."
            )
        self.loop = self.planned_loop()
        ids = ops.reshape(ops.cast(targets, "int32"), (-1,))
        found = self._kernel()(
            ops.reshape(hidden, (-1, hidden.shape[-1])),
            self._weights(),
            ops.take(self.order[0], ids, axis=0),
            ops.reshape(weights, (-1,)),
            training,
        )
        return found.shaped(ops.shape(targets))

    def planned_loop(self) -> str:
        """What `cross_entropy` will run; `loop` says what its last call ran."""
        return f"adaptive-{softmax.choose(self.compute_dtype)}"

    def _kernel(self) -> AdaptiveSoftmax:
        bounds = (*self.cutoffs, self.vocabulary_size)
        loop = softmax.choose(self.compute_dtype)
        return AdaptiveSoftmax(bounds, self.compute_dtype, loop)

    def _weights(self) -> tuple[Array, ...]:
        return tuple(ops.convert_to_tensor(part) for part in self._parts)

    def compute_output_shape(self, hidden_shape: Any) -> tuple[int | None, ...]:
        """(..., V)."""
        return (*hidden_shape[:-1], self.vocabulary_size)

    def compute_output_spec(self, hidden: Any) -> Any:
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
            "cutoffs": list(self.cutoffs),
            "factor": self.factor,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
