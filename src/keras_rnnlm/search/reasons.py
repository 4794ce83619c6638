"""Why settings are suggested: a sentence for each choice. What is chosen: `rules`."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.text_facts import TextFacts
from keras_rnnlm.search import rules
from keras_rnnlm.search.cost import HALF, Cost

CELL = {
    "lstm": "Three gates: on an alphabet the LSTM was ahead of the GRU's two in runs "
    "of three minutes, and on words it bears higher rates.",
    "gru": "Two gates: on words and Chinese characters the GRU, at rates of its own, "
    "was 8 to 9% ahead of the LSTM's three in runs of up to three minutes.",
}
LONG_CELL = (
    "Three gates: in ten minutes of words the LSTM ended 6% ahead of the GRU's two, "
    "which are 8 to 9% ahead in runs of up to three minutes."
)
EMBEDDING = (
    "As wide as the layer, whose word vectors are the output's matrix too: narrower "
    "ones were no better in the sweeps, but where time was very short."
)
VALIDATIONS = "Each validation takes time from training, and keeps the best weights."


def of_kind(facts: TextFacts, base: Mapping[str, Any], given: bool) -> str:
    """Say why of optimizer, schedule and output.

    Args:
        facts: The text.
        base: What `rules.base` says.
        given: Whether the optimizer was not chosen.
    """
    unit = {"char": "characters", "word": "words"}.get(facts.kind, "pieces")
    types = f"{facts.vocabulary:,} different {unit}"
    if given:
        reason = f"For {types}, with the optimizer that was given"
    elif facts.kind == "char":
        reason = f"For {types} Adam ended best"
    elif base["optimizer"] == "adam":
        reason = (
            f"For {types}, and a cell, a rate or a clipping that plain SGD does not go "
            "with, Adam"
        )
    else:
        reason = (
            f"For {types} plain SGD, at a rate that only clipping makes possible, "
            "ended best"
        )
    if "state_reset" in base:
        reason += "; some windows begin from a zero state, as every text does"
    if "output" in base:
        reason += "; a softmax over a sample of them shortens each step"
    return f"{reason}."


def of_window(steps: int) -> str:
    """Say why of the length of a window."""
    return (
        f"{steps} tokens, over which gradients go back, are what was used in all "
        "sweeps; the state goes on from window to window. rnnlm tune tries others."
    )


def of_precision(cost: Cost) -> str:
    """Say why of the precision."""
    if cost.gain is None:
        return "What this processor is made for; there was no time to compare."
    if cost.precision == HALF:
        return f"bfloat16 products are {cost.gain:.1f} times as fast on this machine."
    return f"bfloat16 products are no faster on this machine ({cost.gain:.2f} times)."


def of_units(
    units: int,
    facts: TextFacts,
    seen_with: Callable[[int], float],
    minutes: float,
    bound: str | None,
) -> str:
    """Say why of the number of units.

    Args:
        units: Chosen.
        facts: The text.
        seen_with: From units to the tokens that training sees in the time.
        minutes: The time.
        bound: What kept it from being wider, `text` or `memory`, or None.
    """
    seen = seen_with(units)
    passes = seen / facts.tokens
    here = (
        f"{minutes:g} minutes are {seen / 1e6:.2g} million tokens with {units} units "
        f"here, {few(passes)} passes"
    )
    if bound == "text":
        return (
            f"{here}; there is time for more, but no sweep had more than "
            f"{rules.SQUARE_PER_TOKEN:g} elements of a square of units for each token "
            "of a text."
        )
    if bound == "memory":
        return f"{here}; there is time for more, but more does not fit into memory."
    return (
        f"{here}; twice as wide sees {seen_with(2 * units) / seen:.0%} of that. Wanted "
        f"are {rules.TOKENS_PER_SQUARE[rules.kind_of(facts.vocabulary)]:g} tokens for "
        "each element of a square of units, between what was best in the sweeps."
    )


def of_lanes(lanes: int, updates: float) -> str:
    """Say why of the batch size."""
    return f"{lanes} lanes make {updates:,.0f} updates of that."


def of_layers(passes: float, parallel: bool) -> str:
    """Say why of the number of layers."""
    if parallel:
        return (
            "The gates of such a cell see its input alone: layers above each other see "
            "further."
        )
    if passes >= rules.DEEP:
        return f"At {few(passes)} passes there is time for a second layer."
    return (
        f"At {few(passes)} passes a second layer costs more updates than it is worth."
    )


def of_dropout(vocabulary_size: int, passes: float) -> str:
    """Say why of the rate of dropout."""
    if rules.dropout(vocabulary_size, passes) == 0:
        return f"In {few(passes)} passes nothing is learned by heart."
    return f"In {few(passes)} passes a network begins to learn its text by heart."


def of_rate(vocabulary_size: int, settings: Settings) -> str:
    """Say why of the learning rate.

    Args:
        vocabulary_size: Number of token ids.
        settings: All that are suggested.
    """
    optimizer, cell = settings.optimizer.lower(), settings.cell
    if optimizer == "sgd" and settings.clip_norm != rules.CLIPPED:
        return (
            f"Rates of SGD were swept with gradients clipped at {rules.CLIPPED:g}: "
            "this one makes the longest step as long. Without clipping, 1 is usual."
        )
    if optimizer == "sgd" and cell == "gru":
        return "At 20 the GRU ended best; at an LSTM's 60 it learned next to nothing."
    if optimizer == "sgd" and cell in rules.AT_20:
        return "At 20 it ended near an LSTM at 60."
    if optimizer == "sgd" and cell not in rules.AT_60:
        return "At 20, the rate of the recipe word: this cell's own was not measured."
    if optimizer == "sgd" and settings.layers > 1:
        return "At 30 two layers ended 3% ahead of the 60 that suit one."
    if optimizer == "sgd":
        return "The highest rate that ended well in the sweeps, whatever the width."
    if rules.kind_of(vocabulary_size) == "many" and cell == rules.PLAIN:
        return "With Adam at 0.004 it learned in a minute; with SGD it hardly did."
    if rules.kind_of(vocabulary_size) == "many":
        return "The more updates, the lower the rate that ended best in the sweeps."
    return "In the sweeps rates from 0.003 to 0.012 ended near each other."


def of_range_test(lowest: float, optimizer: str) -> str:
    """Say why of a learning rate that a range test has found."""
    return (
        f"The loss was lowest at {lowest:.3g} while the rate rose; taken is "
        f"{rules.of_optimizer(rules.SHARE, optimizer):g} times that."
    )


def few(passes: float) -> str:
    """Return a number of passes for people."""
    return f"{passes:.2g}" if passes < 100 else f"{passes:,.0f}"
