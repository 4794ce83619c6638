"""Language models whose body is a stack of equal blocks, each with its own memory."""

import random
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers import Embedding
from keras_rnnlm.layers.observed import tell
from keras_rnnlm.models.arguments import check_arguments
from keras_rnnlm.models.carried_state import CarriedState, State
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.initial_weights import assign_drawn, glorot
from keras_rnnlm.models.output_layers import make_output


class BlockLM(CausalLM):
    """Embedding, blocks as wide as the word vectors, and a softmax.

    A class derived from this one says what a block is (`_make_block`) and how its
    weights are drawn (`_draw`); a block is a layer called with (x, *memory, training)
    that returns its output and its memory, and has `initial_memory(batch_size)`.

    The arguments are those of the derived classes, and what they have of their own
    comes in `own`.
    """

    def __init__(
        self,
        vocabulary_size: int,
        own: dict[str, Any],
        *,
        units: int,
        layers: int,
        dropout: float,
        input_dropout: float | None,
        output_dropout: float | None,
        embedding_dropout: float,
        vector_width: int | None,
        tie_weights: bool,
        output: str,
        output_cutoffs: Any,
        output_samples: int | None,
        mixtures: int | None,
        mixture_dropout: float | None,
        seed: int | None,
        dtype: Any,
        name: str | None,
    ) -> None:
        """Build the network with its initial weights."""
        check_arguments({**locals(), **own})
        # Layers cast for themselves; the weights of a loss must not become 16-bit.
        super().__init__(name=name, dtype=dtype, autocast=False)
        if min(units, layers) < 1:
            raise ConfigError(
                f"Expected 1 unit and 1 layer or more, received units={units}, "
                f"layers={layers}."
            )
        self._arguments = {
            "vocabulary_size": vocabulary_size,
            "units": units,
            "layers": layers,
            **own,
            "dropout": dropout,
            "input_dropout": input_dropout,
            "output_dropout": output_dropout,
            "embedding_dropout": embedding_dropout,
            "vector_width": vector_width,
            "tie_weights": tie_weights,
            "output": output,
            "output_cutoffs": None if output_cutoffs is None else list(output_cutoffs),
            "output_samples": output_samples,
            "mixtures": mixtures,
            "mixture_dropout": mixture_dropout,
            "seed": seed,
        }
        self.vocabulary_size = vocabulary_size
        self.units = units
        # Python's generator, which keras.utils.set_random_seed seeds.
        self.seed = random.randrange(2**31) if seed is None else seed
        seeds = _far_apart(self.seed, 4 + layers)
        policy = self.dtype_policy
        self.embedding = Embedding(
            vocabulary_size,
            units if vector_width is None else vector_width,
            projection=None if vector_width is None else units,
            dropout=embedding_dropout,
            seed=next(seeds),
            dtype=policy,
            name="embedding",
        )
        self.input_dropout, self.output_dropout = (
            keras.layers.Dropout(
                dropout if rate is None else rate,
                seed=next(seeds),
                dtype=policy,
                name=name,
            )
            for rate, name in (
                (input_dropout, "input_dropout"),
                (output_dropout, "output_dropout"),
            )
        )
        self.blocks = [
            self._make_block(seed=next(seeds), dtype=policy, name=f"block{i}")
            for i in range(layers)
        ]
        back = tie_weights and output != "mixture" and vector_width not in (None, units)
        self.projection = (
            keras.layers.Dense(
                vector_width, use_bias=False, dtype=policy, name="projection"
            )
            if back
            else None
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
        assign_drawn(self, self._drawn)

    @abstractmethod
    def _make_block(self, seed: int, dtype: Any, name: str) -> Any:
        """Return a block made from the arguments."""

    def _drawn(
        self, name: str, shape: tuple[int, ...], generator: np.random.Generator
    ) -> np.ndarray:
        if name in ("embedding.projection", "projection.kernel"):
            return glorot(shape, generator)
        return self._draw(name, shape, generator)

    @abstractmethod
    def _draw(
        self, name: str, shape: tuple[int, ...], generator: np.random.Generator
    ) -> np.ndarray:
        """Return the initial values of a weight; see `assign_drawn`."""

    def _finished(self, x: Any) -> Any:
        """What the output layer gets of the last block's output."""
        return x

    def build(self, input_shape: Any = None) -> None:
        """Create all weights; their shapes do not depend on the input."""
        shape = (None, None, self.units)
        self.embedding.build((None, None))
        for layer in (self.input_dropout, *self.blocks, self.output_dropout):
            layer.build(shape)
        if self.projection is not None:
            self.projection.build(shape)
            shape = (None, None, self.projection.units)
        matrix = [self.embedding.embeddings.shape] if self.output_layer.tied else []
        self.output_layer.build(shape, *matrix)

    def initial_state(self, batch_size: Any) -> State:
        """Return the zero state: the memory of each block."""
        return tuple(block.initial_memory(batch_size) for block in self.blocks)

    def hidden(
        self, tokens: Any, state: State, training: bool = False
    ) -> tuple[Any, State]:
        """See `CausalLM.hidden`."""
        return self._run(self.embedding(tokens, training=training), state, training)

    def hidden_of(self, vectors: Any, state: State) -> tuple[Any, State]:
        """See `CausalLM.hidden_of`."""
        return self._run(vectors, state, False)

    def _run(self, vectors: Any, state: State, training: bool) -> tuple[Any, State]:
        x = self.input_dropout(vectors, training=training)
        after = []
        for block, memory in zip(self.blocks, state, strict=True):
            x, kept = block(x, *memory, training=training)
            tell("layer output", x)
            after.append(kept)
        x = self.output_dropout(self._finished(x), training=training)
        return (x if self.projection is None else self.projection(x)), tuple(after)

    def body_weights(self) -> dict[str, Any]:
        """See `CausalLM.body_weights`: `blocks.I.NAME`, `projection.kernel`."""
        named = {
            f"blocks.{i}.{variable.name}": variable
            for i, block in enumerate(self.blocks)
            for variable in block.weights
        }
        if self.projection is not None:
            named["projection.kernel"] = self.projection.kernel
        return named


def _far_apart(seed: int, number: int) -> Iterator[int]:
    """Seeds of 31 bits, which Keras keeps as int32 on PyTorch, that share nothing."""
    spread = np.random.SeedSequence(seed).generate_state(number) >> 1
    return iter(spread.tolist())
