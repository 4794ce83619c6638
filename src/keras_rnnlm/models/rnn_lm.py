"""The recurrent language model: token ids in, logits of the next token out."""

import random
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnnlm.layers import CausalAttention, Embedding, LockedDropout
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.make import initial_state, make_layer
from keras_rnnlm.layers.penalties import activation_penalty as penalty_of
from keras_rnnlm.layers.word_ranks import WordRanks
from keras_rnnlm.models.carried_state import CarriedState, State
from keras_rnnlm.models.connections import checked, connect, input_widths
from keras_rnnlm.models.initial_weights import initialise
from keras_rnnlm.models.output_layers import make_output
from keras_rnnlm.models.stream_training import StreamTraining


@keras.saving.register_keras_serializable("keras_rnnlm")
class RNNLM(StreamTraining):
    """Embedding, recurrent layers and a softmax over the vocabulary.

    The architecture is that of Mikolov et al. (2010) with the cells and dropout of
    Zaremba et al. (2014) and Merity et al. (2018). The model knows token ids only;
    `LanguageModel` joins it with a tokenizer.

    Called with integer ids (batch, time) it starts every row from a zero state. Called
    with `{"tokens": ids, "carry": (batch,)}`, the form in which a stream's batches
    come, each row whose `carry` is 1 goes on from the state in which the same row of
    the previous batch ended. The result is float32 logits (batch, time, vocabulary).

    Args:
        vocabulary_size: Number of token ids.
        cell: Name of a cell: `lstm`, `gru`, `simple_rnn` or one of `docs/cells.md`.
        cell_arguments: Settings of the cell, such as `{"rounds": 4}`.
        units: Width of each recurrent layer.
        layers: Number of recurrent layers.
        embedding: Width of the word vectors; `units` when None.
        projection: Width of a linear layer before the output, or None. With tied
            weights it equals `embedding`, and is added when the last layer is of
            another width.
        connections: Of the recurrent layers: `none`, `residual` or `dense`; see
            `models.connections`.
        attention: Number of past steps that a head after the last layer attends to, 0
            for none; see `layers.CausalAttention`.
        dropout: Locked dropout between recurrent layers.
        input_dropout: Locked dropout on the embeddings; `dropout` when None.
        output_dropout: Locked dropout after the last layer; `dropout` when None.
        embedding_dropout: Rate at which whole words lose their vector in a batch.
        weight_dropout: Rate of weight drop on the recurrent matrices.
        activation_penalty: Weight of activation regularisation in the training loss;
            see `layers.penalties`.
        temporal_penalty: Weight of temporal activation regularisation there.
        tie_weights: Use the embedding matrix as the output matrix.
        output: `full`; for large vocabularies `adaptive` (untied) or `sampled`; or a
            `mixture` of softmaxes. See `layers.AdaptiveOutput`, `layers.SampledOutput`
            and `rank_words`, `layers.MixtureOutput`.
        output_cutoffs: Ranks at which the clusters of `adaptive` begin; by the size of
            the vocabulary when None.
        output_samples: Words that `sampled` draws in a step; 2048 when None.
        mixtures: Number of softmaxes of `mixture`; 4 when None.
        seed: Seed of the initial weights (the same on every backend) and of dropout;
            drawn by chance when None.
        dtype: Keras dtype policy, for example `mixed_bfloat16`.

    Example:
        >>> model = RNNLM(vocabulary_size=10, units=8, layers=1, seed=0)
        >>> log_probabilities, state = model.step([[3]], model.initial_state(1))
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: str = "lstm",
        units: int = 650,
        layers: int = 2,
        embedding: int | None = None,
        projection: int | None = None,
        connections: str = "none",
        attention: int = 0,
        dropout: float = 0.0,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        embedding_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        activation_penalty: float = 0.0,
        temporal_penalty: float = 0.0,
        tie_weights: bool = True,
        output: str = "full",
        output_cutoffs: Any = None,
        output_samples: int | None = None,
        mixtures: int | None = None,
        cell_arguments: dict[str, Any] | None = None,
        seed: int | None = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        """Build the network with its initial weights; see the class for arguments."""
        # Layers cast for themselves; the weights of a loss must not become 16-bit.
        super().__init__(name=name, dtype=dtype, autocast=False)
        embedding = units if embedding is None else embedding
        if tie_weights and projection not in (None, embedding):
            raise ValueError(
                f"Tied weights need a projection as wide as the embedding ({embedding})"
                f"; received projection={projection}. Leave it out, or set "
                "tie_weights=False."
            )
        self._widths = input_widths(checked(connections), embedding, units, layers)
        if tie_weights and self._widths[-1] != embedding and output != "mixture":
            projection = embedding
        self._arguments = {
            "vocabulary_size": vocabulary_size,
            "cell": cell,
            "cell_arguments": dict(cell_arguments) if cell_arguments else None,
            "units": units,
            "layers": layers,
            "embedding": embedding,
            "projection": projection,
            "connections": connections,
            "attention": attention,
            "dropout": dropout,
            "input_dropout": input_dropout,
            "output_dropout": output_dropout,
            "embedding_dropout": embedding_dropout,
            "weight_dropout": weight_dropout,
            "activation_penalty": activation_penalty,
            "temporal_penalty": temporal_penalty,
            "tie_weights": tie_weights,
            "output": output,
            "output_cutoffs": None if output_cutoffs is None else list(output_cutoffs),
            "output_samples": output_samples,
            "mixtures": mixtures,
            "seed": seed,
        }
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        self.units = units
        self.connections = connections
        # Python's generator, which keras.utils.set_random_seed seeds.
        self.seed = random.randrange(2**31) if seed is None else seed
        # Far apart: generators of neighbouring seeds draw the same, one call later.
        # Of 31 bits, since Keras keeps them as int32 on PyTorch.
        spread = np.random.SeedSequence(self.seed).generate_state(3 + 2 * layers) >> 1
        seeds = iter(spread.tolist())
        policy = self.dtype_policy

        self.embedding = Embedding(
            vocabulary_size,
            embedding,
            dropout=embedding_dropout,
            seed=next(seeds),
            dtype=policy,
            name="embedding",
        )
        self.input_dropout = LockedDropout(
            dropout if input_dropout is None else input_dropout,
            seed=next(seeds),
            dtype=policy,
            name="input_dropout",
        )
        self.recurrent = [
            make_layer(
                cell,
                cell_arguments,
                units,
                return_sequences=True,
                return_state=True,
                weight_dropout=weight_dropout,
                seed=next(seeds),
                dtype=policy,
                name=f"recurrent{i}",
            )
            for i in range(layers)
        ]
        last = dropout if output_dropout is None else output_dropout
        self.dropouts = [
            LockedDropout(rate, seed=next(seeds), dtype=policy, name=f"dropout{i}")
            for i, rate in enumerate([*[dropout] * (layers - 1), last])
        ]
        self.penalties = activation_penalty, temporal_penalty
        if any(self.penalties):
            self.penalty_tracker = keras.metrics.Mean(name="penalty")
        self.attention = (
            CausalAttention(attention, dtype=policy, name="attention")
            if attention
            else None
        )
        self.projection = (
            None
            if projection is None
            else keras.layers.Dense(
                projection, use_bias=False, dtype=policy, name="projection"
            )
        )
        self.output_layer = make_output(
            output,
            vocabulary_size,
            tied=tie_weights,
            cutoffs=output_cutoffs,
            samples=output_samples,
            mixtures=mixtures,
            seed=next(seeds),
            dtype=policy,
        )
        self.carried = CarriedState()
        self.build()
        initialise(self)

    def build(self, input_shape: Any = None) -> None:
        """Create all weights; their shapes do not depend on the input."""
        *widths, width = self._widths
        self.embedding.build((None, None))
        for i, (layer, dropout) in enumerate(
            zip(self.recurrent, self.dropouts, strict=True)
        ):
            layer.build((None, None, widths[i]))
            dropout.build((None, None, self.units))
        if self.attention is not None:
            self.attention.build((None, None, width))
        self.input_dropout.build((None, None, self._arguments["embedding"]))
        if self.projection is not None:
            self.projection.build((None, None, width))
            width = self.projection.units
        matrix = [self.embedding.embeddings.shape] if self.output_layer.tied else []
        self.output_layer.build((None, None, width), *matrix)

    # -- the forward pass ---------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return float32 logits (batch, time, vocabulary).

        For a dict with `targets` and `weights` (batch, time) instead what a pass over
        them found: `loss`, and `nats` and `correct` (batch, time); in training beside
        them the `penalty`, if there is any. Without targets it goes to `add_loss`.
        """
        training = bool(training)
        given = inputs if isinstance(inputs, dict) else {"tokens": inputs}
        tokens, carry = given["tokens"], given.get("carry")
        state = (
            self.initial_state(ops.shape(tokens)[0])
            if carry is None
            else self.carried.read(carry, training)
        )
        dropped, raw, last, state = self._recur(tokens, state, training)
        if carry is not None:
            self.carried.write(state, carry, training)
        penalty = None
        if training and any(self.penalties):
            weights = given.get("weights", ops.ones(ops.shape(raw)[:2], "float32"))
            penalty = penalty_of(dropped, raw, weights, *self.penalties)
        hidden = self._projected(last)
        if "targets" not in given:
            if penalty is not None:
                self.add_loss(penalty)
            return self.logits(hidden)
        targets, weights = given["targets"], given["weights"]
        found = self.cross_entropy(hidden, targets, weights, training)._asdict()
        return found if penalty is None else {**found, "penalty": penalty}

    def rank_words(self, counts: Any) -> None:
        """Tell an `adaptive` or `sampled` output how often each word comes.

        Without it lower ids are taken for more frequent words. Call it before training:
        it changes what the weights mean, and is kept with them.

        Args:
            counts: (vocabulary,), of the training text; a `full` output needs none.
        """
        if isinstance(self.output_layer, WordRanks):
            self.output_layer.rank_words(np.asarray(counts))

    def initial_state(self, batch_size: Any) -> State:
        """Return the zero state: per layer a tuple of float32 arrays (batch, ...).

        The memory of attention, where there is one, comes last.
        """
        state = tuple(initial_state(layer, batch_size) for layer in self.recurrent)
        if self.attention is None:
            return state
        return (*state, self.attention.initial_memory(batch_size))

    def hidden(
        self, tokens: Any, state: State, training: bool = False
    ) -> tuple[Any, State]:
        """Run the recurrent layers.

        Args:
            tokens: Integer ids (batch, time).
            state: As from `initial_state` or an earlier call.
            training: Whether dropout is active.

        Returns:
            The last layer's output (batch, time, width) and the new state.
        """
        _, _, last, state = self._recur(tokens, state, training)
        return self._projected(last), state

    def _recur(
        self, tokens: Any, state: State, training: bool
    ) -> tuple[Any, Any, Any, State]:
        """The last layer's output, dropped and raw, the stack's, and the new state."""
        x = self.input_dropout(
            self.embedding(tokens, training=training), training=training
        )
        after, dropped, raw = [], x, x
        before, memory = state[: len(self.recurrent)], state[len(self.recurrent) :]
        for layer, dropout, past in zip(
            self.recurrent, self.dropouts, before, strict=True
        ):
            raw, *now = layer(x, initial_state=list(past), training=training)
            dropped = dropout(raw, training=training)
            x = connect(self.connections, x, dropped)
            after.append(tuple(ops.cast(array, "float32") for array in now))
        if self.attention is not None:
            x, remembered = self.attention(x, *memory)
            after.append(remembered)
        return dropped, raw, x, tuple(after)

    def _projected(self, x: Any) -> Any:
        return x if self.projection is None else self.projection(x)

    def logits(self, hidden: Any) -> Any:
        """Return float32 logits (batch, time, vocabulary) of hidden vectors.

        Those of an `adaptive` output or a `mixture` are log-probabilities.
        """
        return self.output_layer(hidden, *self._matrix())

    def log_probabilities(self, hidden: Any) -> Any:
        """Return natural log-probabilities (batch, time, vocabulary) in float32."""
        return self.output_layer.log_probabilities(hidden, *self._matrix())

    def cross_entropy(
        self, hidden: Any, targets: Any, weights: Any = None, training: bool = False
    ) -> Outcome:
        """Compare hidden vectors with targets, without all logits in memory.

        Args:
            hidden: (batch, time, width).
            targets: Integer ids (batch, time).
            weights: (batch, time): of each token in the loss; all one if absent.
            training: Whether the loss will be differentiated.
        """
        if weights is None:
            weights = ops.ones(ops.shape(targets), "float32")
        matrix = self._matrix()[0] if self.output_layer.tied else None
        found: Outcome = self.output_layer.cross_entropy(
            hidden, targets, weights, matrix, training
        )
        return found

    def _matrix(self) -> tuple[Any, ...]:
        """The embedding matrix, if the output layer is tied to it."""
        return (self.embedding.embeddings,) if self.output_layer.tied else ()

    def step(self, tokens: Any, state: State) -> tuple[Any, State]:
        """Predict what follows: the one call on which all inference stands.

        Args:
            tokens: Integer ids (batch,) or (batch, time).
            state: As from `initial_state` or an earlier call; any row may be zeroed
                by itself.

        Returns:
            Natural log-probabilities of the next token, float32, (batch, vocabulary)
            or (batch, time, vocabulary), and the state after the last token.
        """
        tokens = ops.convert_to_tensor(tokens, "int32")
        one = len(tokens.shape) == 1
        hidden, state = self.hidden(
            ops.expand_dims(tokens, 1) if one else tokens, state
        )
        log_probabilities = self.log_probabilities(hidden)
        return (log_probabilities[:, 0] if one else log_probabilities), state

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        # The policy by name: Keras's own serialization imports TensorFlow if it can.
        return {**self._arguments, "dtype": self.dtype_policy.name, "name": self.name}
