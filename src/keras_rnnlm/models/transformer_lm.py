"""A small decoder-only Transformer: token ids in, logits of the next token out."""

from typing import Any

import keras
import numpy as np

from keras_rnnlm.layers.transformer_block import TransformerBlock, layer_norm
from keras_rnnlm.models.block_lm import BlockLM

_DEVIATION = 0.02


@keras.saving.register_keras_serializable("keras_rnnlm")
class TransformerLM(BlockLM):
    """Embedding, Transformer blocks, a normalisation and a softmax.

    The architecture is that of Radford et al. (2019) without biases and with rotary
    positions; see `layers.transformer_block`. It is called, trained, scored and asked
    to generate like `RNNLM`: its state is what each block remembers of the last
    `context` - 1 steps. Each block looks back that far, so what the network knows may
    come from `layers` times as many steps, whatever the window of training.

    Weights are normal with deviation 0.02, those that end a part of a block divided by
    the root of the number of such parts (Radford et al. 2019).

    Args:
        vocabulary_size: Number of token ids.
        units: Width of the word vectors and of each block, a multiple of 2 `heads`.
        layers: Number of blocks.
        heads: Attention heads of each block.
        context: Number of steps that a head sees, the present one included.
        dropout: Rate on attention's shares and on what each part of a block adds.
        input_dropout: Rate on the embeddings; `dropout` when None.
        output_dropout: Rate before the output layer; `dropout` when None.
        embedding_dropout: Rate at which whole words lose their vector in a batch.
        vector_width: Width of the embedding matrix if it is not `units`, as of `RNNLM`.
        tie_weights: Use the embedding matrix as the output matrix.
        output: `full`, `adaptive` (untied), `sampled` or `mixture`, as of `RNNLM`.
        output_cutoffs: As of `RNNLM`.
        output_samples: As of `RNNLM`.
        mixtures: As of `RNNLM`.
        mixture_dropout: As of `RNNLM`.
        seed: Seed of the initial weights (the same on every backend) and of dropout;
            drawn by chance when None.
        dtype: Keras dtype policy, for example `mixed_bfloat16`.
        name: Of the Keras model.

    Raises:
        ConfigError: If an argument is of another type or out of its range.

    Example:
        >>> model = TransformerLM(vocabulary_size=10, units=8, layers=1, seed=0)
        >>> log_probabilities, state = model.step([[3]], model.initial_state(1))
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int = 256,
        layers: int = 4,
        heads: int = 4,
        context: int = 256,
        dropout: float = 0.0,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        embedding_dropout: float = 0.0,
        vector_width: int | None = None,
        tie_weights: bool = True,
        output: str = "full",
        output_cutoffs: Any = None,
        output_samples: int | None = None,
        mixtures: int | None = None,
        mixture_dropout: float | None = None,
        seed: int | None = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        """Build the network with its initial weights; see the class for arguments."""
        super().__init__(
            vocabulary_size,
            {"heads": heads, "context": context},
            units=units,
            layers=layers,
            dropout=dropout,
            input_dropout=input_dropout,
            output_dropout=output_dropout,
            embedding_dropout=embedding_dropout,
            vector_width=vector_width,
            tie_weights=tie_weights,
            output=output,
            output_cutoffs=output_cutoffs,
            output_samples=output_samples,
            mixtures=mixtures,
            mixture_dropout=mixture_dropout,
            seed=seed,
            dtype=dtype,
            name=name,
        )

    def build(self, input_shape: Any = None) -> None:
        """Create all weights; their shapes do not depend on the input."""
        self.final_scale = self.add_weight(
            shape=(self.units,), initializer="ones", name="final_scale", autocast=False
        )
        super().build(input_shape)

    def body_weights(self) -> dict[str, Any]:
        """See `CausalLM.body_weights`: `blocks.I.NAME` and `final_scale`."""
        return {**super().body_weights(), "final_scale": self.final_scale}

    def _make_block(self, seed: int, dtype: Any, name: str) -> TransformerBlock:
        heads, context = self._arguments["heads"], self._arguments["context"]
        rate = self._arguments["dropout"]
        return TransformerBlock(heads, context, rate, seed, dtype=dtype, name=name)

    def _draw(
        self, name: str, shape: tuple[int, ...], generator: np.random.Generator
    ) -> np.ndarray:
        if name.endswith("bias"):
            return np.zeros(shape)
        last = name.endswith(("mixing_kernel", "narrowing_kernel"))
        parts = 2 * len(self.blocks) if last else 1
        return generator.normal(0.0, _DEVIATION / parts**0.5, shape)

    def _finished(self, x: Any) -> Any:
        wide = keras.ops.cast(x, "float32") if _narrow(self) else x
        normal = layer_norm(wide, self.final_scale)
        return keras.ops.cast(normal, self.compute_dtype)


def _narrow(network: keras.Model) -> bool:
    return network.compute_dtype in ("bfloat16", "float16")
