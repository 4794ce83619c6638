"""What a run needs of memory, said before it starts rather than by a dead process."""

from pathlib import Path

from keras_rnnlm.config import Settings
from keras_rnnlm.data.buckets import LONGEST_LINE
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.chunks import rows_for
from keras_rnnlm.layers.make import parameters as cell_weights
from keras_rnnlm.machine import memory_bytes
from keras_rnnlm.models.output_layers import MIXTURES, SAMPLES
from keras_rnnlm.training.weight_count import count_weights

_MOMENTS = {"sgd": 1, "rmsprop": 1, "adagrad": 1, "lion": 1}


def needed_bytes(
    parameters: int,
    vocabulary_size: int,
    settings: Settings,
    vectors: int | None = None,
    text: EncodedText | None = None,
) -> int:
    """Estimate the peak memory of a training step, in bytes.

    Weights, gradients, the optimizer's moments, averaged and best weights, and one
    chunk of the logits with its gradient. Where there are several chunks, their
    gradients by the output matrix are added up, which takes another of its size.

    Args:
        parameters: Number of weights.
        vocabulary_size: Number of token ids.
        settings: Of the run.
        vectors: Width of the word vectors that it begins with, if any.
        text: As of `longest_batch`.
    """
    averaged = settings.averaging_kind != "none"
    copies = 3 + _MOMENTS.get(settings.optimizer.lower(), 2) + averaged
    words = settings.output_samples or SAMPLES
    words = words if settings.output == "sampled" else vocabulary_size
    softmaxes = (settings.mixtures or MIXTURES) if settings.output == "mixture" else 1
    longest = longest_batch(settings, text)
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


def longest_batch(settings: Settings, text: EncodedText | None = None) -> int:
    """Return the most time steps of a batch.

    Args:
        settings: Of the run.
        text: What is trained on. With mode=sentence batches are as long as its longest
            line, or as a line may be where it is absent.
    """
    if settings.mode != "sentence":
        return settings.steps + 2 * settings.steps_deviation
    if text is None:
        return LONGEST_LINE
    starts, stops = text.lines()
    return min(LONGEST_LINE, int((stops - starts).max(initial=1)))


def available_bytes() -> int | None:
    """Return the memory that new work may take, or None where the system hides it."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return memory_bytes()
    except (OSError, ValueError):
        return None


def check_memory(
    settings: Settings,
    vocabulary_size: int,
    members: int = 1,
    vectors: int | None = None,
    text: EncodedText | None = None,
) -> None:
    """Raise `ConfigError` where a training step would not fit into memory.

    Or where a cell refuses its settings or width; all else from which no network can
    be made is left to the network to say.

    Args:
        settings: Of the run.
        vocabulary_size: Number of token ids.
        members: Networks that take a step together.
        vectors: Width of the word vectors that they begin with, if any.
        text: What is trained on, for the lengths of its lines.
    """
    parameters = count_weights(settings, vocabulary_size, vectors)
    if parameters is None:
        if settings.network == "rnn":
            units = settings.units
            cell_weights(settings.cell, settings.cell_arguments, units, units)
        return
    available = available_bytes()
    needed = members * needed_bytes(
        parameters, vocabulary_size, settings, vectors, text
    )
    if available is not None and needed > available:
        raise ConfigError(
            f"Training would take about {needed / 1e9:.1f} GB of memory for "
            f"{members * parameters:,} weights and a vocabulary of "
            f"{vocabulary_size:,}; {available / 1e9:.1f} GB are free. Use a smaller "
            "--vocabulary-size, --tokenizer bpe, or smaller units, batch_size or steps."
        )
