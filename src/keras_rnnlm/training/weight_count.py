"""The number of weights of a network, before there is one."""

from keras_rnnlm.config import Settings
from keras_rnnlm.models.connections import input_widths
from keras_rnnlm.models.networks import network_weights
from keras_rnnlm.models.output_layers import kept_ranks
from keras_rnnlm.network_settings import network_arguments


def count_weights(
    settings: Settings, vocabulary_size: int, vectors: int | None = None
) -> int | None:
    """Return the exact number of weights of a network without building it.

    The ranks of words, which an output layer keeps beside them, are none.

    Args:
        settings: Of the network.
        vocabulary_size: Number of token ids.
        vectors: Width of the word vectors that it begins with, or None.

    Returns:
        The count; None for settings from which no network can be made.
    """
    given = network_arguments(settings, vectors)
    given["vocabulary_size"] = vocabulary_size
    if settings.network == "rnn":
        # What `RNNLM` makes of arguments that are absent.
        embedding = given["embedding"] or settings.units
        given["embedding"] = embedding
        *_, last = input_widths(
            settings.connections, embedding, settings.units, settings.layers
        )
        matrix = given["vector_width"] or embedding
        if settings.tie_weights and settings.output != "mixture" and last != matrix:
            given["projection"] = matrix
    count = network_weights(settings.network, given)
    return (
        None if count is None else count - kept_ranks(settings.output, vocabulary_size)
    )
