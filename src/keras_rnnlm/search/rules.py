"""Which settings: rules read off our own sweeps. See `docs/choosing.md` for the runs.

Two kinds of text differ so much that each has rules of its own: with *few* different
tokens (the characters of an alphabet) and with *many* (words, pieces, Chinese
characters). Everything else is a function of how many tokens a network of some width
gets through in the time there is, which is measured, and of how many there are.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from keras_rnnlm import cell_registry
from keras_rnnlm.config import Settings

T = TypeVar("T")

FEW = 1000
"""Most token ids of a text with few."""
WIDTHS = (32, 64, 96, 128, 192, 256, 384, 512, 640, 768, 1024, 1280, 1536)
TOKENS_PER_SQUARE = {"few": 12.0, "many": 40.0}
"""Tokens seen in training for each element of a units x units matrix: between those at
which the sweeps of three texts had their lowest loss."""
SQUARE_PER_TOKEN = 3.0
"""Most such elements for each token of a text: wider was not tried."""
SAMPLED = 5000
"""Least number of token ids for which a sampled softmax pays."""
SAMPLES = 3000
DEEP = 6.0
"""Passes from which on a second layer pays."""
_ADAM = {
    "optimizer": "adam",
    "beta_2": 0.99,
    "clip_norm": 1.0,
    "schedule": "cosine",
    "warmup": 0.05,
}
CLIPPED = 0.25
"""Norm at which gradients were clipped where plain SGD was swept."""
_MOST_CLIPPED = 1.0
"""Norm up to which plain SGD is suggested: it needs clipping."""
_LEAST_RATE = 0.1
"""Rate from which on plain SGD is suggested where a rate is given."""
_UNCLIPPED_RATE = 1.0
"""Of plain SGD without clipping, as most papers begin with; not swept."""
_SGD = {
    "optimizer": "sgd",
    "clip_norm": CLIPPED,
    "schedule": "linear",
    "warmup": 0.02,
}
_LANES = {"few": (16, 32), "many": (10, 20)}
_STEPS = {"few": 32, "many": 35}
_LONG = 4000
"""Steps of training from which on more lanes pay."""
_MOST_DROPOUT = 0.6
LEAST_DROPOUT = 0.1
"""Where something needs dropout, and the text would do without."""


def kind_of(vocabulary_size: int) -> str:
    """Return `few` or `many`."""
    return "few" if vocabulary_size <= FEW else "many"


def base(vocabulary_size: int, kind: str, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what depends on the kind of text alone: optimizer, schedule, output.

    Args:
        vocabulary_size: Number of token ids.
        kind: Of the tokenizer.
        fixed: Settings that are not to be chosen; what does not go with them is left
            out.
    """
    few = kind_of(vocabulary_size) == "few"
    cell = fixed.get("cell", "lstm")
    gated = cell != PLAIN and not is_parallel(cell)
    clipped = 0 < fixed.get("clip_norm", CLIPPED) <= _MOST_CLIPPED
    fast = fixed.get("learning_rate", GRU_RATE) >= _LEAST_RATE
    able = gated and clipped and fast
    usual = "sgd" if able and kind != "char" else "adam"
    chosen = (fixed.get("optimizer") or usual).lower()
    settings: dict[str, Any] = dict(_SGD if chosen == "sgd" else _ADAM)
    if chosen not in ("sgd", "adam", "adamw"):
        del settings["beta_2"]  # which others may not have
    settings["steps"] = _STEPS["few" if few else "many"]
    if few and fixed.get("mode", "stream") == "stream":
        settings["state_reset"] = 0.05
    if vocabulary_size >= SAMPLED and fixed.get("output", "sampled") == "sampled":
        settings |= {"output": "sampled", "output_samples": SAMPLES}
    return settings


def lanes(vocabulary_size: int, tokens: float, seen: float) -> int:
    """Return the batch size.

    Args:
        vocabulary_size: Number of token ids.
        tokens: Of the text; each lane has four windows at least.
        seen: Tokens of all training.
    """
    kind = kind_of(vocabulary_size)
    few, more = _LANES[kind]
    wanted = more if seen / (more * _STEPS[kind]) >= _LONG else few
    return max(1, min(wanted, int(tokens / (4 * _STEPS[kind]))))


def units(vocabulary_size: int, fresh: float, seen_with: Callable[[int], float]) -> int:
    """Return the number of units.

    Args:
        vocabulary_size: Number of token ids.
        fresh: Tokens of the text that repeat no passage.
        seen_with: From units to the tokens that training sees in the time.
    """
    wanted = TOKENS_PER_SQUARE[kind_of(vocabulary_size)]
    able = [u for u in WIDTHS if u * u <= SQUARE_PER_TOKEN * fresh] or [WIDTHS[0]]
    return min(able, key=lambda u: abs(math.log(seen_with(u) / (u * u) / wanted)))


def dropout(vocabulary_size: int, passes: float) -> float:
    """Return the rate of dropout for a number of passes over the text."""
    if kind_of(vocabulary_size) == "few":
        rate = 0.15 * math.log2(max(passes, 1e-9) / 3)
    else:
        rate = 0.17 * math.log2(max(passes, 1e-9) / 2)
    return round(min(max(rate, 0.0), _MOST_DROPOUT), 2)


MIDDLE = {"sgd": 10.0, "adam": 0.01}
"""Learning rate around which a range test goes from a hundredth to a hundred times."""
SHARE = {"sgd": 20.0, "adam": 0.1}
"""Best rate of the sweeps as a multiple of that at which a range test has its lowest
loss. With clipping that one says little of plain SGD, and is of one text."""


AT_60 = (
    "lstm",
    "coupled_lstm",
    "layer_norm_lstm",
    "mogrifier_lstm",
    "rlstm",
    "slstm",
)
"""Cells that learned well from words with SGD at 60, in one layer (`docs/results.md`,
the ladder)."""
DEEP_RATE = 30.0
"""Their rate in two layers: in ten minutes 91.3, with the rate of one layer 94.1."""
GRU_RATE = 20.0
"""Rate of SGD at which GRUs ended best; at 60 they learned next to nothing."""
AT_20 = ("gru", "mgu")
"""Cells that were measured at that rate."""
PLAIN, PLAIN_RATE = "simple_rnn", 0.004
"""The cell without gates, and its rate of Adam for many tokens: in a minute of Penn
Treebank 221.6, where SGD at 20 ended at 683.8."""
LONG = "lstm", 8000
"""The cell of words in long runs by SGD, and updates of one layer from which on a run
is long. At 10 minutes of Penn Treebank, two layers of 384, it ended at 90.3 and the GRU
at 96.0."""
PARALLEL_LAYERS = 3
"""Layers at least of a cell whose gates see its input alone: one layer of such cells
follows no chain of decisions, and the papers stack three or more."""


def is_parallel(cell: str) -> bool:
    """Whether a cell's gates see its input alone.

    Raises:
        ConfigError: No cell has this name.
    """
    return bool(getattr(cell_registry.find(cell), "parallel", False))


def cell(vocabulary_size: int, rate: float = 0.0) -> str:
    """Return the cell.

    Args:
        vocabulary_size: Number of token ids.
        rate: Of plain SGD, where that was given: above its own a GRU does not learn.
    """
    few = kind_of(vocabulary_size) == "few"
    return "lstm" if few or rate > GRU_RATE else "gru"


def is_long(passes: float, updates: float) -> bool:
    """Whether a run is one of those for which `LONG` has the cell."""
    return passes >= DEEP and updates >= LONG[1]


def learning_rate(vocabulary_size: int, settings: Settings, updates: float) -> float:
    """Return the peak learning rate, to two digits.

    Args:
        vocabulary_size: Number of token ids.
        settings: All others; with SGD cells like an LSTM have a rate of their own.
        updates: Of all training.
    """
    if settings.optimizer.lower() == "sgd":
        return _rate_of_sgd(settings)
    if kind_of(vocabulary_size) == "many":
        if settings.cell == PLAIN:
            return PLAIN_RATE
        # 0.016 was best of some 1,800 updates, 0.004 of 9,000.
        return float(f"{min(max(32 / max(updates, 1), 0.002), 0.016):.2g}")
    rate = 0.006 * math.sqrt(512 / settings.units)
    return round(min(max(rate, 0.003), 0.012), 4)


def _rate_of_sgd(settings: Settings) -> float:
    """Return the rate that makes the longest step as long as in the sweeps."""
    rate = GRU_RATE
    if settings.cell in AT_60:
        rate = 60.0 if settings.layers == 1 else DEEP_RATE
    if not settings.clip_norm:
        rate = _UNCLIPPED_RATE
    else:
        rate *= CLIPPED / settings.clip_norm
    # With momentum a step is so many times as long.
    return float(f"{rate * (1 - settings.momentum):.2g}")


def rate_of_range_test(lowest: float, optimizer: str) -> float:
    """Return the peak learning rate, to two digits, from where the loss was lowest."""
    return float(f"{lowest * of_optimizer(SHARE, optimizer):.2g}")


def of_optimizer(table: Mapping[str, T], optimizer: str) -> T:
    """Return what a table has for an optimizer: all but `sgd` count as `adam`."""
    return table["sgd" if optimizer == "sgd" else "adam"]
