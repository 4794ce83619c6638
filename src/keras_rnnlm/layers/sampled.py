"""An output layer that trains on a part of the words, drawn anew for each step."""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels import sampled_softmax
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.outputs import Output
from keras_rnnlm.layers.word_ranks import WordRanks

Array = Any


@keras.saving.register_keras_serializable("keras_rnnlm")
class SampledOutput(WordRanks, Output):
    """`Output` whose loss in training is a sampled softmax.

    After Bengio and Senécal (2008) and Jean et al. (2015). Everywhere else it is
    `Output`: probabilities are those of the whole softmax and sum to one. In training
    nats are an estimate, a little too small on average, and `correct` says that no
    drawn word was likelier.

    Args:
        vocabulary_size: V, the number of logits.
        samples: words that take part in a step, for all positions together: half of
            them the most frequent ones, half drawn log-uniformly by rank.
        seed: of the drawing; None draws one.
        tied: whether the matrix comes with the call.
        use_bias: whether to add a bias.
        **options: those of `Output`.

    Call arguments and results:
        As those of `Output`.

    Raises:
        ConfigError: if no word is to be drawn.
    """

    def __init__(
        self,
        vocabulary_size: int,
        samples: int = 2048,
        seed: int | None = None,
        tied: bool = False,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        super().__init__(vocabulary_size, tied, use_bias, **options)
        if samples < 1:
            raise ConfigError(
                f"SampledOutput expected samples of 1 or more, received {samples}: "
                "give the number of words to draw in a step, such as 2048."
            )
        self.samples = samples
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, hidden_shape: Any, embeddings_shape: Any = None) -> None:
        """Make the weights of `Output`, and the order of the words."""
        super().build(hidden_shape, embeddings_shape)
        self._add_order()

    def cross_entropy(
        self,
        hidden: Array,
        targets: Array,
        weights: Array,
        embeddings: Array = None,
        training: bool = False,
    ) -> Outcome:
        """See `Output.cross_entropy`; in training among drawn words."""
        if not training:
            return super().cross_entropy(hidden, targets, weights, embeddings)
        self._check(hidden.shape, None if embeddings is None else embeddings.shape)
        self.loop = self.planned_loop()
        ids = ops.reshape(ops.cast(targets, "int32"), (-1,))
        uniform = keras.random.uniform(
            (self.samples,), dtype="float32", seed=self.seed_generator
        )
        drawn = sampled_softmax.draw_ranks(uniform, self.vocabulary_size)
        found = sampled_softmax.cross_entropy(
            ops.reshape(hidden, (-1, hidden.shape[-1])),
            ops.convert_to_tensor(embeddings if self.tied else self.kernel),
            None if self.bias is None else ops.convert_to_tensor(self.bias),
            ids,
            ops.take(self.order[1], drawn, axis=0),
            sampled_softmax.log_expected(drawn, self.vocabulary_size, self.samples),
            ops.reshape(weights, (-1,)),
            self.compute_dtype,
            self.tied,
        )
        return found.shaped(ops.shape(targets))

    def planned_loop(self) -> str:
        """What training will run: "sampled"."""
        return "sampled"

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "samples": self.samples, "seed": self.seed}
