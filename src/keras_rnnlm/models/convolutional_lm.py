"""A causal gated convolutional network: token ids in, logits of the next token out."""

from typing import Any

import keras
import numpy as np

from keras_rnnlm.layers.gated_convolution import GatedConvolution
from keras_rnnlm.models.block_lm import BlockLM

_EMBEDDING = 0.1


@keras.saving.register_keras_serializable("keras_rnnlm")
class ConvolutionalLM(BlockLM):
    """Embedding, gated convolutions over past steps and a softmax.

    The architecture is that of Dauphin et al. (2017) without bottlenecks: every layer
    is a residual block of its own; see `layers.gated_convolution`. It is called,
    trained, scored and asked to generate like `RNNLM`: its state are the last
    `kernel_width` - 1 inputs of each layer, and what it knows comes from the last
    `layers` (`kernel_width` - 1) + 1 steps.

    Embeddings are uniform in ±0.1, convolutions normal with a variance of four over
    their inputs, since a gate lets through half (Gehring et al. 2017).

    Args:
        vocabulary_size: Number of token ids.
        units: Width of the word vectors and of each layer.
        layers: Number of layers.
        kernel_width: Number of steps that a layer sees, the present one included.
        dropout: Rate on what each layer adds.
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
        >>> model = ConvolutionalLM(vocabulary_size=10, units=8, layers=1, seed=0)
        >>> log_probabilities, state = model.step([[3]], model.initial_state(1))
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int = 256,
        layers: int = 4,
        kernel_width: int = 4,
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
            {"kernel_width": kernel_width},
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
        for block in self.blocks:
            # The columns begin as they were drawn: g = |v|.
            columns = keras.ops.convert_to_numpy(block.kernel.value)
            block.norm.assign(np.linalg.norm(columns, axis=0))

    def _make_block(self, seed: int, dtype: Any, name: str) -> GatedConvolution:
        width, rate = self._arguments["kernel_width"], self._arguments["dropout"]
        return GatedConvolution(width, rate, seed, dtype=dtype, name=name)

    def _draw(
        self, name: str, shape: tuple[int, ...], generator: np.random.Generator
    ) -> np.ndarray:
        if name.endswith("bias"):
            return np.zeros(shape)
        if name.startswith("blocks") and name.endswith("kernel"):
            return generator.normal(0.0, (4.0 / shape[0]) ** 0.5, shape)
        return generator.uniform(-_EMBEDDING, _EMBEDDING, shape)
