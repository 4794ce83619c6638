"""What a run needs of memory, said before it starts rather than by a dead process."""

import os
from pathlib import Path

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.attention import attention_weights
from keras_rnnlm.layers.kernels.chunks import rows_for
from keras_rnnlm.layers.make import parameters
from keras_rnnlm.models.connections import input_widths
from keras_rnnlm.models.networks import network_weights
from keras_rnnlm.models.output_layers import MIXTURES, SAMPLES, output_weights
from keras_rnnlm.network_settings import network_arguments

_MOMENTS = {"sgd": 1, "rmsprop": 1, "adagrad": 1, "lion": 1}


def needed_bytes(
    parameters: int,
    vocabulary_size: int,
    settings: Settings,
    vectors: int | None = None,
) -> int:
    """Estimate the peak memory of a training step, in bytes.

    Weights, gradients, the optimizer's moments, averaged and best weights, and one
    chunk of the logits with its gradient. Where there are several chunks, their
    gradients by the output matrix are added up, which takes another of its size.
    """
    averaged = settings.averaging_kind != "none"
    copies = 3 + _MOMENTS.get(settings.optimizer.lower(), 2) + averaged
    words = settings.output_samples or SAMPLES
    words = words if settings.output == "sampled" else vocabulary_size
    softmaxes = (settings.mixtures or MIXTURES) if settings.output == "mixture" else 1
    longest = settings.steps + 2 * settings.steps_deviation
    positions = settings.batch_size * longest * softmaxes
    most = rows_for(words)
    chunk = 2 * min(positions, most) * words
    if positions > most:
        chunk += vocabulary_size * (vectors or settings.embedding or settings.units)
    if settings.network == "transformer":
        # Each layer's shares of attention, kept for the gradient.
        seen = longest + settings.context
        chunk += settings.layers * settings.heads * positions * seen
    return 4 * (copies * parameters + chunk)


def available_bytes() -> int | None:
    """Return the memory that new work may take, or None where the system hides it."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def parameters_of(
    settings: Settings, vocabulary_size: int, vectors: int | None = None
) -> int:
    """Return a close estimate of the number of weights these settings build.

    Args:
        settings: Of the network.
        vocabulary_size: Number of token ids.
        vectors: Width of the word vectors that it begins with, if any.
    """
    arguments = network_arguments(settings, vectors)
    if settings.network != "rnn":
        given = {**arguments, "vocabulary_size": vocabulary_size}
        return network_weights(settings.network, given) or 0
    embedding = arguments["embedding"] or settings.units
    matrix = arguments["vector_width"] or embedding
    *widths, last = input_widths(
        settings.connections, embedding, settings.units, settings.layers
    )
    recurrent = sum(
        parameters(settings.cell, settings.cell_arguments, w, settings.units)
        for w in widths
    )
    heads = attention_weights(last) if settings.attention else 0
    projected = settings.projection * last if settings.projection else 0
    last = settings.projection or last
    output = output_weights(
        settings.output,
        vocabulary_size,
        last,
        settings.tie_weights,
        settings.output_cutoffs,
        settings.mixtures,
        matrix,
    )
    projected += matrix * embedding if arguments["vector_width"] else 0
    return vocabulary_size * matrix + recurrent + heads + projected + output


def check_memory(
    settings: Settings,
    vocabulary_size: int,
    members: int = 1,
    vectors: int | None = None,
) -> None:
    """Raise `ConfigError` where a training step would not fit into memory.

    Args:
        settings: Of the run.
        vocabulary_size: Number of token ids.
        members: Networks that take a step together.
        vectors: Width of the word vectors that they begin with, if any.
    """
    available = available_bytes()
    parameters = parameters_of(settings, vocabulary_size, vectors)
    needed = members * needed_bytes(parameters, vocabulary_size, settings, vectors)
    if available is not None and needed > available:
        raise ConfigError(
            f"Training would take about {needed / 1e9:.1f} GB of memory for "
            f"{members * parameters:,} weights and a vocabulary of "
            f"{vocabulary_size:,}; {available / 1e9:.1f} GB are free. Use a smaller "
            "--vocabulary-size, --tokenizer bpe, or smaller units, batch_size or steps."
        )
