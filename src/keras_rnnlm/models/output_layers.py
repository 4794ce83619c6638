"""The output layer that a model's arguments ask for, and how many weights it has."""

from itertools import pairwise
from typing import Any

from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.layers import AdaptiveOutput, MixtureOutput, Output, SampledOutput
from keras_rnnlm.layers.adaptive import default_cutoffs

KINDS = ("full", "adaptive", "sampled", "mixture")
SAMPLES = 2048
MIXTURES = 4


def make_output(
    kind: str,
    vocabulary_size: int,
    tied: bool,
    cutoffs: Any = None,
    samples: int | None = None,
    mixtures: int | None = None,
    mixture_dropout: float | None = None,
    seed: int | None = None,
    dtype: Any = None,
) -> Any:
    """Make an output layer.

    Args:
        kind: `full`, `adaptive`, `sampled` or `mixture`.
        vocabulary_size: Number of words.
        tied: Whether it uses the embedding's matrix.
        cutoffs: Ranks at which clusters begin, for `adaptive` alone.
        samples: Words drawn in a step, for `sampled` alone.
        mixtures: Number of softmaxes, for `mixture` alone.
        mixture_dropout: Of the latent vectors, for `mixture` alone.
        seed: Of the drawing.
        dtype: Keras dtype policy.

    Raises:
        ConfigError: An unknown kind, or arguments that do not go with it.
    """
    if kind not in KINDS:
        raise ConfigError(
            f"Expected output to be one of {', '.join(KINDS)}; received '{kind}'."
            f"{nearest(kind, KINDS)}"
        )
    for name, value, owner in (
        ("output_cutoffs", cutoffs, "adaptive"),
        ("output_samples", samples, "sampled"),
        ("mixtures", mixtures, "mixture"),
        ("mixture_dropout", mixture_dropout, "mixture"),
    ):
        if value is not None and kind != owner:
            raise ConfigError(
                f"{name} goes with output='{owner}'; received output='{kind}'. Leave "
                "one of them out."
            )
    options: dict[str, Any] = {"dtype": dtype, "name": "output"}
    if kind == "adaptive":
        if tied:
            raise ConfigError(
                "output='adaptive' has matrices of its own, of several widths; "
                "received tie_weights=True. Set tie_weights=False."
            )
        return AdaptiveOutput(vocabulary_size, cutoffs, **options)
    if kind == "sampled":
        samples = SAMPLES if samples is None else samples
        return SampledOutput(vocabulary_size, samples, seed, tied=tied, **options)
    if kind == "mixture":
        mixtures = MIXTURES if mixtures is None else mixtures
        rate = mixture_dropout or 0.0
        return MixtureOutput(vocabulary_size, mixtures, tied, rate, seed, **options)
    return Output(vocabulary_size, tied=tied, **options)


def output_weights(
    kind: str,
    vocabulary_size: int,
    width: int,
    tied: bool,
    cutoffs: Any = None,
    mixtures: int | None = None,
    embedding: int | None = None,
) -> int:
    """Return how many numbers an output layer keeps, without building it.

    Args:
        kind: `full`, `adaptive`, `sampled` or `mixture`.
        vocabulary_size: Number of words.
        width: Of the hidden vectors.
        tied: Whether it uses the embedding's matrix.
        cutoffs: As of `make_output`.
        mixtures: As of `make_output`.
        embedding: Width of the embedding's matrix; `width` if None.
    """
    if kind == "mixture":
        count = MIXTURES if mixtures is None else mixtures
        latent = embedding if tied and embedding is not None else width
        own = 0 if tied else latent * vocabulary_size
        return vocabulary_size + own + count * (width + (width + 1) * latent)
    ranks = kept_ranks(kind, vocabulary_size)
    if kind != "adaptive":
        return vocabulary_size + ranks + (0 if tied else width * vocabulary_size)
    chosen = default_cutoffs(vocabulary_size) if cutoffs is None else cutoffs
    total = (width + 1) * (int(chosen[0]) + len(chosen)) + ranks
    bounds = (*(int(cutoff) for cutoff in chosen), vocabulary_size)
    for i, (begin, end) in enumerate(pairwise(bounds)):
        narrow = max(1, width // 4 ** (i + 1))
        total += width * narrow + (narrow + 1) * (end - begin)
    return total


def kept_ranks(kind: str, vocabulary_size: int) -> int:
    """Return how many of the numbers an output layer keeps are ranks of words."""
    return 2 * vocabulary_size if kind in ("adaptive", "sampled") else 0
