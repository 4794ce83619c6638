"""The kinds of network by name: made from arguments, and counted before they are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.layers.attention import attention_weights
from keras_rnnlm.layers.gated_convolution import convolution_weights
from keras_rnnlm.layers.make import parameters
from keras_rnnlm.layers.transformer_block import transformer_weights
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.connections import checked, input_widths
from keras_rnnlm.models.convolutional_lm import ConvolutionalLM
from keras_rnnlm.models.output_layers import output_weights
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.transformer_lm import TransformerLM

NETWORKS: Mapping[str, type[CausalLM]] = MappingProxyType(
    {"rnn": RNNLM, "transformer": TransformerLM, "convolutional": ConvolutionalLM}
)
_MOST_LAYERS = 1000


def network_class(kind: Any) -> type[CausalLM]:
    """Return the class of a kind of network.

    Raises:
        ConfigError: An unknown kind; the nearest is offered.
    """
    if not isinstance(kind, str) or kind not in NETWORKS:
        raise ConfigError(
            f"Expected network to be one of {', '.join(NETWORKS)}; received '{kind}'."
            f"{nearest(str(kind), NETWORKS)}"
        )
    return NETWORKS[kind]


def kind_of(network: Any) -> str:
    """Return the name of a network's kind, as `network_class` takes it.

    Raises:
        ConfigError: It is of none of these.
    """
    for kind, known in NETWORKS.items():
        if isinstance(network, known):
            return kind
    raise ConfigError(
        f"Expected a network of a kind that can be saved ({', '.join(NETWORKS)}), "
        f"received {type(network).__name__}. Keep its weights yourself."
    )


def network_weights(kind: str, network: Mapping[str, Any]) -> int | None:
    """Return how many weights a network's arguments ask for; None if senseless.

    Nothing is built, so that sizes can be chosen, and hostile ones refused.

    Args:
        kind: Name of a kind of network.
        network: Its arguments by name, as `get_config` gives them.
    """
    try:
        if kind == "rnn":
            return _recurrent(network)
        vocabulary, width = int(network["vocabulary_size"]), int(network["units"])
        layers = int(network["layers"])
        if min(vocabulary, width, layers) < 1 or layers > _MOST_LAYERS:
            return None
        if kind == "transformer":
            body = layers * transformer_weights(width) + width
        else:
            kernel_width = int(network["kernel_width"])
            body = layers * convolution_weights(width, kernel_width)
        matrix = _matrix_width(network, width)
        tied = bool(network["tie_weights"]) and network.get("output") != "mixture"
        last = matrix if tied else width
        body += width * matrix if last != width else 0
        embedding = _embedding(network, vocabulary, width)
        return embedding + body + _output(network, vocabulary, last, matrix)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None


def _recurrent(network: Mapping[str, Any]) -> int | None:
    vocabulary, units = int(network["vocabulary_size"]), int(network["units"])
    layers, embedding = int(network["layers"]), int(network["embedding"])
    cell, arguments = str(network["cell"]), network.get("cell_arguments")
    projection = network["projection"]
    connections = checked(str(network.get("connections", "none")))
    attention = int(network.get("attention", 0))
    if min(vocabulary, units, layers, embedding) < 1 or layers > _MOST_LAYERS:
        return None
    *widths, last = input_widths(connections, embedding, units, layers)
    total = _embedding(network, vocabulary, embedding)
    total += sum(parameters(cell, arguments, width, units) for width in widths)
    total += attention_weights(last) if attention else 0
    if projection is not None:
        total += last * int(projection)
        last = int(projection)
    matrix = _matrix_width(network, embedding)
    return total + _output(network, vocabulary, last, matrix)


def _matrix_width(network: Mapping[str, Any], width: int) -> int:
    """Return the width of the embedding matrix where what is read has `width`."""
    given = network.get("vector_width")
    matrix = width if given is None else int(given)
    if matrix < 1:
        raise ValueError("an embedding matrix without columns")
    return matrix


def _embedding(network: Mapping[str, Any], vocabulary: int, width: int) -> int:
    matrix = _matrix_width(network, width)
    projected = network.get("vector_width") is not None
    return vocabulary * matrix + (matrix * width if projected else 0)


def _output(
    network: Mapping[str, Any], vocabulary: int, width: int, embedding: int
) -> int:
    mixtures = network.get("mixtures")
    return output_weights(
        str(network.get("output", "full")),
        vocabulary,
        width,
        bool(network["tie_weights"]),
        network.get("output_cutoffs"),
        None if mixtures is None else int(mixtures),
        embedding,
    )
