"""Which token comes next: small functions from log-probabilities to log-probabilities.

Each takes an array (B, V) of natural-log probabilities, one row for each text that is
being written, and returns a new float64 array (B, V) whose rows sum to one again;
`-inf` marks a token that can't be drawn. `Sampler` puts them in the usual order:
banned tokens, repetition penalty, temperature, top-k, top-p. `draw` then takes one
token a row. All of it is plain NumPy and knows nothing of networks or text. The loops
in C++ (`layers/kernels/native/sampler.h`) and JAX (`jax_loop`) follow the same rules.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_rnnlm.errors import InputError

Floats = NDArray[np.float64]


def normalize(log_probs: ArrayLike) -> Floats:
    """Shift each row of log-probabilities (B, V) so that its probabilities sum to one.

    Raises:
        InputError: a row holds a value that is not a number, or allows no token.
    """
    values = np.asarray(log_probs, np.float64)
    top = values.max(axis=-1, keepdims=True)
    if np.isnan(top).any() or np.isposinf(top).any():
        raise not_finite()
    if np.isneginf(top).any():
        raise nothing_allowed()
    shifted: Floats = values - top
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def not_finite() -> InputError:
    """Return the error for a network that predicts what is no number."""
    return InputError(
        "Expected log-probabilities, received values that are not finite numbers "
        "from the network. Its weights are probably damaged: use an earlier "
        "checkpoint or train it again with a lower learning rate."
    )


def nothing_allowed() -> InputError:
    """Return the error for a row all of whose tokens are excluded."""
    return InputError(
        "Expected at least one token that may be drawn, but every token is "
        "excluded. Allow <unk>, or use a model with a larger vocabulary."
    )


def ban(log_probs: ArrayLike, ids: Sequence[int]) -> Floats:
    """Exclude the tokens `ids` from every row of log-probabilities (B, V)."""
    values = np.array(log_probs, np.float64)
    values[:, list(ids)] = -np.inf
    return normalize(values)


def penalize_repetition(
    log_probs: ArrayLike, seen: NDArray[np.bool_], penalty: float
) -> Floats:
    """Make tokens that were seen before less likely.

    As in CTRL (Keskar et al. 2019, section 4.1), the score of a seen token is divided
    by the penalty; a negative score is multiplied by it, since dividing would favour
    the token. Scores are the network's logits. Log-probabilities give them up to a
    constant, which is chosen here so that the possible tokens' scores have mean zero:
    cross entropy, whose gradient sums to zero over the vocabulary, leaves them there.

    Args:
        log_probs: (B, V), natural logarithms.
        seen: (B, V), true for the tokens that the penalty falls on.
        penalty: 1 changes nothing, above 1 discourages, below 1 encourages.
    """
    values = normalize(log_probs)
    possible = np.isfinite(values)
    scores = values - values.mean(axis=-1, keepdims=True, where=possible)
    penalized = np.where(scores > 0, scores / penalty, scores * penalty)
    return normalize(np.where(seen, penalized, scores))


def apply_temperature(log_probs: ArrayLike, temperature: float) -> Floats:
    """Divide log-probabilities (B, V) by the temperature.

    At 0, the limit, the likeliest token of each row gets all of the probability; of
    equally likely ones the one with the lowest id.
    """
    values = normalize(log_probs)
    if temperature == 0:
        greedy = np.full_like(values, -np.inf)
        greedy[np.arange(len(values)), values.argmax(axis=-1)] = 0.0
        return greedy
    # The maximum is taken out first: at a tiny temperature the quotients overflow to
    # -inf, which is right for every token but the likeliest.
    values -= values.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):
        return normalize(values / temperature)


def keep_top_k(log_probs: ArrayLike, k: int) -> Floats:
    """Keep the k likeliest tokens of each row (B, V); ties go to the lowest ids."""
    values = normalize(log_probs)
    if k >= values.shape[-1]:
        return values
    least = np.partition(values, -k, axis=-1)[:, -k, None]
    return _keep(values, least, np.array([[k]]))


def keep_top_p(log_probs: ArrayLike, p: float) -> Floats:
    """Keep each row's nucleus: the smallest set of tokens whose probability reaches p.

    The likeliest tokens come first, ties in order of id (Holtzman et al. 2020, "The
    Curious Case of Neural Text Degeneration"). At least one token stays.

    Args:
        log_probs: (B, V), natural logarithms.
        p: probability in (0, 1]; at 1 nothing is removed.
    """
    values = normalize(log_probs)
    if p >= 1:
        return values
    falling = np.flip(np.sort(values, axis=-1), axis=-1)
    # A token stays while the likelier ones before it have not reached p by themselves.
    before = np.zeros_like(values)
    np.cumsum(np.exp(falling[:, :-1]), axis=-1, out=before[:, 1:])
    count = (before < p).sum(axis=-1, keepdims=True)
    return _keep(values, np.take_along_axis(falling, count - 1, axis=-1), count)


def _keep(values: Floats, least: Floats, count: NDArray[np.int64]) -> Floats:
    """Keep `count` tokens a row (B, 1), the least likely of which has score `least`."""
    above = values > least
    ties = values == least
    places = count - above.sum(axis=-1, keepdims=True)
    kept = above | (ties & (np.cumsum(ties, axis=-1) <= places))
    return normalize(np.where(kept, values, -np.inf))


def draw(
    log_probs: ArrayLike, streams: Sequence[np.random.Generator]
) -> NDArray[np.int32]:
    """Draw one token a row by inverting its cumulative distribution in float64.

    Args:
        log_probs: (B, V), natural logarithms; `-inf` is never drawn.
        streams: B random streams; each gives one uniform number a call.

    Returns:
        Token ids (B,).
    """
    cumulative = np.cumsum(np.exp(normalize(log_probs)), axis=-1)
    points = [stream.random() for stream in streams]
    return np.array(
        [
            np.searchsorted(row, point * row[-1], side="right")
            for row, point in zip(cumulative, points, strict=True)
        ],
        np.int32,
    )


def random_streams(seed: int | None, n: int) -> list[np.random.Generator]:
    """Return n independent random streams; stream r depends on (seed, r), not on n.

    Args:
        seed: whole number of at least 0; None takes fresh entropy from the system.
        n: number of streams.

    Raises:
        InputError: the seed is negative.
    """
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if seed < 0:
        raise InputError(
            f"Expected a seed of at least 0, received {seed}. Give a whole number "
            "such as 0, or leave the seed out for different text each time."
        )
    return [
        np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, row))))
        for row in range(n)
    ]


def uniforms(streams: Sequence[np.random.Generator], count: int) -> Floats:
    """Return the next `count` numbers of B streams, (count, B), which `draw` takes."""
    numbers = [stream.random(count) for stream in streams]
    return np.ascontiguousarray(np.stack(numbers, axis=1))


@dataclass(frozen=True)
class Sampler:
    """How the next token is drawn: the settings, checked, in their order of use.

    Attributes:
        temperature: 0 always takes the likeliest token, 1 draws from the model's own
            distribution, more flattens it.
        top_k: draw from the k likeliest tokens only; None for all.
        top_p: draw from the nucleus of this probability only; None for all.
        repetition_penalty: see `penalize_repetition`; 1 for none.
        banned: ids that are never drawn.
        banned_first: ids that are not drawn first, but may be later; the loops see to
            it, the sampler by itself does not.

    Raises:
        InputError: a setting is out of its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    banned: tuple[int, ...] = ()
    banned_first: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(
                f"Expected a temperature of at least 0, received {self.temperature}. "
                "Use 0 for the likeliest token each time, 1 for the model's own "
                "distribution."
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(
                f"Expected top-k of at least 1, received {self.top_k}. Leave it out "
                "to draw from all tokens."
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(
                f"Expected top-p above 0 and at most 1, received {self.top_p}. Use "
                "0.9, for example, or leave it out to draw from all tokens."
            )
        if not (math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise InputError(
                "Expected a repetition penalty above 0, received "
                f"{self.repetition_penalty}. Use 1 for none, 1.2 to discourage "
                "repetition."
            )

    def __call__(self, log_probs: ArrayLike, seen: NDArray[np.bool_]) -> Floats:
        """Return the distribution to draw from.

        Args:
            log_probs: (B, V), the network's, natural logarithms.
            seen: (B, V), true for tokens in the row's text so far.

        Returns:
            Log-probabilities (B, V), float64; `-inf` for tokens that are left out.
        """
        values = normalize(log_probs)
        if self.banned:
            values = ban(values, self.banned)
        if self.repetition_penalty != 1:
            values = penalize_repetition(values, seen, self.repetition_penalty)
        if self.temperature != 1:
            values = apply_temperature(values, self.temperature)
        if self.top_k is not None:
            values = keep_top_k(values, self.top_k)
        if self.top_p is not None:
            values = keep_top_p(values, self.top_p)
        return values
