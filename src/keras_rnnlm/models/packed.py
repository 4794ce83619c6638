"""A network packed for inference on a CPU, in float32, bfloat16 or int8 weights."""

import weakref
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.layers import Output
from keras_rnnlm.layers.cells import ResetBeforeGRUCell
from keras_rnnlm.layers.kernels import decode
from keras_rnnlm.layers.kernels.native import library
from keras_rnnlm.layers.kernels.packing import WEIGHTS, Layer, Packed, pack
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import named_weights, weight_arrays

State = tuple[tuple[NDArray[np.float32], ...], ...]
Ids = NDArray[np.int32]

PACKABLE = ("simple_rnn", "lstm", "gru")
"""Cells that the C++ loops know; of the GRU they know the form of cuDNN alone."""


class PackedNetwork:
    """A copy of an `RNNLM`'s weights in the order in which the CPU reads them.

    It predicts, scores and generates like the network and has its `initial_state` and
    `step`, on NumPy arrays and under any Keras backend. Its weights don't follow the
    network's. Sums, gates and state are float32 whatever the weights are; int8 weights
    have a scale for each output, and what they are multiplied with becomes 8-bit
    numbers as it comes, with a scale for each vector.

    Args:
        network: The network to copy.
        weights: "float32", "bfloat16" or "int8".

    Attributes:
        vocabulary_size: Number of token ids.
        weights: As given.
        packed: The weights.

    Raises:
        ConfigError: For unknown weights.
        InputError: The C++ loops lack a part of this network.
        RNNLMError: There are no C++ kernels here.

    Example:
        >>> small = PackedNetwork(network, "int8")
        >>> log_probabilities, state = small.step([[3]], small.initial_state(1))
    """

    def __init__(self, network: CausalLM, weights: str = "float32") -> None:
        """Pack the network's present weights."""
        if weights not in WEIGHTS:
            raise ConfigError(
                f"Expected weights to be {', '.join(WEIGHTS)}; received '{weights}'."
            )
        if reason := unpackable(network):
            raise InputError(
                "Expected a network of embedding, simple_rnn, lstm or gru layers and a "
                f"softmax, received one that {reason}. Use its own float32 weights."
            )
        if library.target() is None:
            # Says what is missing.
            library.function("rnnlm_decode_read", None)
        self.vocabulary_size = network.vocabulary_size
        self.weights = weights
        self.packed = _pack(network, weights)

    @property
    def path(self) -> str:
        """What computes, for example "native avx512"."""
        return f"native {library.target()}"

    @property
    def nbytes(self) -> int:
        """Size of the packed weights."""
        return self.packed.memory.nbytes

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state: per layer a tuple of float32 (batch, units)."""
        return as_state(decode.zero_state(self.packed, batch_size))

    def step(self, tokens: Any, state: State) -> tuple[NDArray[np.float32], State]:
        """Predict what follows.

        Args:
            tokens: Integer ids (batch,) or (batch, time).
            state: As from `initial_state` or an earlier call.

        Returns:
            Natural log-probabilities of the next token, (batch, vocabulary) or (batch,
            time, vocabulary), and the state after the last token.
        """
        ids = np.asarray(tokens, np.int32)
        array = from_state(state)
        columns = [ids] if ids.ndim == 1 else list(ids.T)
        predicted = []
        for column in columns:
            logits = decode.logits(self.packed, column[None], array).astype(np.float64)
            top = logits.max(axis=-1, keepdims=True)
            sums = np.exp(logits - top).sum(axis=-1, keepdims=True)
            predicted.append((logits - top - np.log(sums)).astype(np.float32))
        found = predicted[0] if ids.ndim == 1 else np.stack(predicted, axis=1)
        return found, as_state(array)

    def read(self, tokens: Any, state: State) -> State:
        """Return the state after tokens (batch, time)."""
        array = from_state(state)
        decode.read(self.packed, np.asarray(tokens, np.int32).T, array)
        return as_state(array)

    def score_chunk(
        self, inputs: Ids, targets: Ids, fresh: NDArray[np.bool_], state: State
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], State]:
        """Score targets; what `scoring.scorer` asks of a network, computed here.

        Args:
            inputs: (B, T) ids.
            targets: (B, T) ids.
            fresh: (B,), true for rows whose state starts from zero.
            state: The state after the chunk before.

        Returns:
            nats (B, T), whether each target was the likeliest (B, T), and the state.
        """
        array = from_state(state)
        array[:, :, fresh] = 0
        nats, correct = decode.score(self.packed, inputs.T, targets.T, array)
        return nats.T, correct.T, as_state(array)


def unpackable(network: keras.Model) -> str | None:
    """Return what a network has that the C++ loops lack, None if nothing."""
    if not isinstance(network, RNNLM):
        return "is no RNNLM"
    if network.cell not in PACKABLE:
        return f"has {network.cell} cells"
    if isinstance(network.recurrent[0].equation, ResetBeforeGRUCell):
        return f"has {network.cell} cells with reset_after=false"
    if network.low_rank:
        return "learns low-rank factors (saved and loaded again it has none)"
    if not isinstance(network.output_layer, Output):
        return f"has the output layer {type(network.output_layer).__name__}"
    if network.attention is not None:
        return "has attention"
    if network.connections != "none":
        return f"has {network.connections} connections"
    if keras.backend.standardize_dtype(network.variable_dtype) != "float32":
        return f"has {network.variable_dtype} weights"
    if network.units > 16384:
        # The integer sums of wider ones might not fit into 32 bits.
        return f"has {network.units} units, more than 16384"
    return None


def packed_copy(network: keras.Model) -> PackedNetwork | None:
    """Return the network in float32, packed again only once its weights have changed.

    Returns:
        None where the C++ loops cannot be used, and on backends other than JAX, whose
        weights change without notice.
    """
    if keras.backend.backend() != "jax" or unpackable(network):
        return None
    if library.target() is None:
        return None
    values = [variable.value for variable in named_weights(network).values()]
    known = _copies.get(network)
    if known is not None:
        copy, used = known
        if all(old() is new for old, new in zip(used, values, strict=True)):
            return copy
    copy = PackedNetwork(network)
    # JAX's arrays never change: a changed weight is another array.
    _copies[network] = copy, [weakref.ref(value) for value in values]
    return copy


_copies: "weakref.WeakKeyDictionary[keras.Model, tuple[PackedNetwork, list[Any]]]"
_copies = weakref.WeakKeyDictionary()


def as_state(array: NDArray[np.float32]) -> State:
    """Return a state (layers, arrays a layer, rows, units) as `step` has it."""
    return tuple(tuple(layer) for layer in array)


def from_state(state: Any) -> NDArray[np.float32]:
    """Return a copy of a state as one array (layers, arrays a layer, rows, units)."""
    return np.array([[np.asarray(part) for part in layer] for layer in state], "f4")


def _pack(network: Any, weights: str) -> Packed:
    arrays = weight_arrays(network)
    matrix = embedding = arrays["embedding.weight"]
    if "embedding.projection" in arrays:  # what it reads is the product
        embedding = matrix @ arrays["embedding.projection"]
    layers = []
    for i in range(len(network.recurrent)):
        bias = arrays[f"recurrent.{i}.bias"]
        layers.append(
            Layer(
                arrays[f"recurrent.{i}.kernel"],
                arrays[f"recurrent.{i}.recurrent_kernel"],
                bias if bias.ndim == 2 else bias[None],
            )
        )
    return pack(
        embedding,
        layers,
        arrays.get("projection.kernel"),
        matrix.T if network.output_layer.tied else arrays["output.kernel"],
        arrays["output.bias"],
        network.cell,
        weights,
    )
