"""What training costs on this machine: seconds a token by the width of a network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.models.output_layers import SAMPLES
from keras_rnnlm.setting_checks import OF_OUTPUT
from keras_rnnlm.training.throughput import tokens_per_second
from keras_rnnlm.training.weight_count import count_weights

FULL, HALF = "float32", "mixed_bfloat16"
_FASTER = 1.1
"""How many times as fast steps in bfloat16 have to be."""
_SCORING = 3.0
"""How many times quicker a token is scored than trained on."""


@dataclass(frozen=True)
class Cost:
    """Seconds a token, a line over the multiplications that a token takes.

    Attributes:
        precision: Of the products.
        measured: Tokens a second by number of units.
        gain: How many times as fast bfloat16 was as float32; None: not compared.
        fixed: Seconds a token that do not depend on the width.
        each: Seconds of one multiplication by an element of a matrix.
    """

    precision: str
    measured: Mapping[int, float]
    gain: float | None
    fixed: float
    each: float

    def seconds(self, settings: Settings, vocabulary_size: int) -> float:
        """Return the seconds that a token takes in training with these settings."""
        return self.fixed + self.each * products(settings, vocabulary_size)

    def scoring_seconds(self, settings: Settings, vocabulary_size: int) -> float:
        """Return the seconds that a token takes in evaluation, of all words."""
        if settings.output == "sampled":
            settings = settings.replace(output="full", **dict.fromkeys(OF_OUTPUT))
        return self.seconds(settings, vocabulary_size) / _SCORING

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements for JSON."""
        return {
            "precision": self.precision,
            "tokens_per_second": {
                str(k): round(v, 1) for k, v in self.measured.items()
            },
        }


def products(settings: Settings, vocabulary_size: int) -> float:
    """Return how many elements of matrices a token is multiplied by.

    Those of the recurrent layers, and of the output layer as many as take part in a
    step.
    """
    vectors = settings.embedding or settings.units
    width = vectors if settings.tie_weights else settings.projection or settings.units
    plain = settings.replace(output="full", **dict.fromkeys(OF_OUTPUT))
    weights = count_weights(plain, vocabulary_size) or 0
    weights -= vocabulary_size * (vectors if settings.tie_weights else vectors + width)
    words = vocabulary_size
    if settings.output == "sampled":
        words = min(words, settings.output_samples or SAMPLES)
    return float(weights + words * width)


def measure_cost(
    corpus: Corpus,
    settings: Settings,
    widths: Sequence[int],
    precisions: Sequence[str],
    seconds: float,
    late: Callable[[], bool] = lambda: False,
) -> Cost:
    """Train for a moment with each precision, and with each width in the quicker one.

    Args:
        corpus: The text.
        settings: Of network and optimizer but for units and precision.
        widths: One or two numbers of units, the smaller one first.
        precisions: One or two Keras policies, the one to take if there is no time to
            compare them first.
        seconds: How long to train with each.
        late: Whether to do with what has been measured; one thing always is.
    """

    def rate(precision: str, units: int) -> float:
        changed = settings.replace(precision=precision, units=units)
        return tokens_per_second(corpus, changed, seconds)

    *narrower, widest = widths
    rates: dict[str, float] = {}
    for precision in precisions:
        if not rates or not late():
            rates[precision] = rate(precision, widest)
    gain = None
    chosen = precisions[0]
    if len(rates) > 1:
        gain = rates[HALF] / rates[FULL]
        chosen = HALF if gain >= _FASTER else FULL
    measured = {units: rate(chosen, units) for units in narrower if not late()}
    measured[widest] = rates[chosen]
    return cost_between(corpus, settings.replace(precision=chosen), measured, gain)


def cost_between(
    corpus: Corpus,
    settings: Settings,
    measured: Mapping[int, float],
    gain: float | None = None,
) -> Cost:
    """Draw a line through the tokens a second of two widths, the smaller one first.

    Through one width it comes from zero.
    """
    size = corpus.vocabulary_size
    work = [products(settings.replace(units=units), size) for units in measured]
    taken = [1 / rate for rate in measured.values()]
    if len(work) == 1:
        slope = taken[0] / work[0]
    else:
        slope = max(0.0, (taken[1] - taken[0]) / (work[1] - work[0]))
    fixed = max(0.0, taken[0] - slope * work[0])
    return Cost(settings.precision, measured, gain, fixed, slope)
