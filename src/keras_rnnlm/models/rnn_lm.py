"""The recurrent language model: token ids in, logits of the next token out."""

import random
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers import CausalAttention, Embedding, LockedDropout
from keras_rnnlm.layers.make import initial_state, layer_weights, make_layer
from keras_rnnlm.layers.observed import tell
from keras_rnnlm.layers.penalties import activation_penalty as penalty_of
from keras_rnnlm.models.arguments import check_arguments
from keras_rnnlm.models.carried_state import CarriedState, State
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.connections import checked, connect, input_widths
from keras_rnnlm.models.initial_weights import initialise
from keras_rnnlm.models.output_layers import make_output


@keras.saving.register_keras_serializable("keras_rnnlm")
class RNNLM(CausalLM):
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
        vector_width: Width of the embedding matrix if it is not `embedding`, such as
            that of pretrained vectors: a linear layer lies between. None for none.
        projection: Width of a linear layer before the output, or None. With tied
            weights it equals that of the matrix, and is added when the last layer is
            of another width.
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
        output_samples: Words that take part in a step of `sampled`; 2048 when None.
        mixtures: Number of softmaxes of `mixture`; 4 when None.
        mixture_dropout: Locked dropout on its latent vectors; none when None.
        low_rank: Rank of what is learnt beside the recurrent layers' matrices, which
            then stay as they are; 0 trains the matrices. See `layers.low_rank`.
        seed: Seed of the initial weights (the same on every backend) and of dropout;
            drawn by chance when None.
        dtype: Keras dtype policy, for example `mixed_bfloat16`.

    Raises:
        ConfigError: If an argument is of another type or out of its range.

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
        mixture_dropout: float | None = None,
        cell_arguments: dict[str, Any] | None = None,
        vector_width: int | None = None,
        low_rank: int = 0,
        seed: int | None = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        """Build the network with its initial weights; see the class for arguments."""
        check_arguments(locals())
        # Layers cast for themselves; the weights of a loss must not become 16-bit.
        super().__init__(name=name, dtype=dtype, autocast=False)
        if min(units, layers) < 1:
            raise ConfigError(
                f"Expected 1 unit and 1 layer or more, received units={units}, "
                f"layers={layers}."
            )
        embedding = units if embedding is None else embedding
        matrix_width = embedding if vector_width is None else vector_width
        if tie_weights and projection not in (None, matrix_width):
            raise ValueError(
                "Tied weights need a projection as wide as the embedding "
                f"({matrix_width})"
                f"; received projection={projection}. Leave it out, or set "
                "tie_weights=False."
            )
        self._widths = input_widths(checked(connections), embedding, units, layers)
        if tie_weights and self._widths[-1] != matrix_width and output != "mixture":
            projection = matrix_width
        self._arguments = {
            "vocabulary_size": vocabulary_size,
            "cell": cell,
            "cell_arguments": dict(cell_arguments) if cell_arguments else None,
            "units": units,
            "layers": layers,
            "embedding": embedding,
            "vector_width": vector_width,
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
            "mixture_dropout": mixture_dropout,
            "low_rank": low_rank,
            "seed": seed,
        }
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        self.units = units
        self.low_rank = low_rank
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
            matrix_width,
            projection=None if vector_width is None else embedding,
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
                low_rank=low_rank,
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
            mixture_dropout=mixture_dropout,
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

    def hidden_of(self, vectors: Any, state: State) -> tuple[Any, State]:
        """See `CausalLM.hidden_of`."""
        _, _, last, state = self._recur(None, state, False, vectors)
        return self._projected(last), state

    def penalised(
        self, tokens: Any, state: State, weights: Any
    ) -> tuple[Any, State, Any]:
        """See `CausalLM.penalised`: the activation penalties."""
        dropped, raw, last, state = self._recur(tokens, state, True)
        if not any(self.penalties):
            return self._projected(last), state, None
        if weights is None:
            weights = ops.ones(ops.shape(raw)[:2], "float32")
        penalty = penalty_of(dropped, raw, weights, *self.penalties)
        return self._projected(last), state, penalty

    def _recur(
        self, tokens: Any, state: State, training: bool, vectors: Any = None
    ) -> tuple[Any, Any, Any, State]:
        """The last layer's output, dropped and raw, the stack's, and the new state.

        Tokens are not looked at where their vectors are given.
        """
        if vectors is None and not self._few_words(tokens, training):
            vectors = self._vectors(tokens, training)
        x = raw = dropped = vectors
        after: list[Any] = []
        before, memory = state[: len(self.recurrent)], state[len(self.recurrent) :]
        for layer, dropout, past in zip(
            self.recurrent, self.dropouts, before, strict=True
        ):
            if x is None:
                rows, ids = self.embedding.rows(tokens, training)
                raw, *now = layer.of_rows(rows, ids, past, training)
            else:
                tell("layer input", x)
                run = getattr(layer, "carried", layer)
                raw, *now = run(x, initial_state=list(past), training=training)
            tell("layer output", raw)
            dropped = dropout(raw, training=training)
            x = connect(self.connections, x, dropped)
            after.append(tuple(ops.cast(array, "float32") for array in now))
        if self.attention is not None:
            x, remembered = self.attention(x, *memory)
            after.append(remembered)
        return dropped, raw, x, tuple(after)

    def _vectors(self, tokens: Any, training: bool) -> Any:
        vectors = self.embedding(tokens, training=training)
        return self.input_dropout(vectors, training=training)

    def _few_words(self, tokens: Any, training: bool) -> bool:
        """Whether the first layer's input product is better made word by word.

        That is where there are fewer words than places in the batch, and nothing
        between the vectors and the layer, nor round it, needs those places' own.
        """
        batch, steps = tokens.shape
        if None in (batch, steps) or 2 * self.vocabulary_size > batch * steps:
            return False
        first = self.recurrent[0]
        dropped = training and self.input_dropout.rate > 0
        alone = self.connections == "none" and not dropped
        return alone and hasattr(first, "of_rows") and first.reads_rows(training)

    def _projected(self, x: Any) -> Any:
        return x if self.projection is None else self.projection(x)

    # -- what its parts are -------------------------------------------------------

    def body_weights(self) -> dict[str, Any]:
        """See `CausalLM.body_weights`."""
        named = {
            f"recurrent.{i}.{name}": variable
            for i, layer in enumerate(self.recurrent)
            for name, variable in layer_weights(layer).items()
        }
        if self.attention is not None:
            for variable in self.attention.weights:
                named[f"attention.{variable.name}"] = variable
        if self.projection is not None:
            named["projection.kernel"] = self.projection.kernel
        return named

    def planned_loops(self) -> list[str]:
        """See `CausalLM.planned_loops`: of each recurrent layer."""
        return [layer.planned_loop() for layer in self.recurrent]

    def loops(self) -> list[str | None]:
        """See `CausalLM.loops`: of each recurrent layer."""
        return [layer.loop for layer in self.recurrent]
