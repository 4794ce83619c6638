"""How a trained model goes on with a new text: what is kept, what learns how fast."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.setting_values import check_least, check_range


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """What an adaptation has besides the settings of a run.

    Attributes:
        replay: Share of the lanes that go on reading the old text; below 1.
        decay: Of the pull back to the weights that it began with, a multiple of the
            learning rate (L2-SP, Li et al. 2018).
        layer_rate: Learning rate of a layer as a share of that of the layer above it
            (Howard & Ruder 2018, who have 0.38); 1 for the same rate everywhere.
        unfreeze: Share of the run in which layers begin to learn one after the other,
            the output first; 0 for all at once.
        low_rank: Rank of what recurrent layers learn beside their matrices, which then
            stay as they are (Hu et al. 2021); 0 for whole matrices.
        new_words: How often an unknown word must stand in the new training text to be
            added to the vocabulary; None adds none.

    Raises:
        ConfigError: A value that cannot be.
    """

    replay: float = 0.0
    decay: float = 0.0
    layer_rate: float = 1.0
    unfreeze: float = 0.0
    low_rank: int = 0
    new_words: int | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        check_range("replay", self.replay, 0.0, 1.0, open_end=True)
        check_range("decay", self.decay, 0.0, 1e6)
        check_range("layer_rate", self.layer_rate, 0.0, 1.0)
        check_range("unfreeze", self.unfreeze, 0.0, 1.0, open_end=True)
        check_least("low_rank", self.low_rank, 0)
        if self.new_words is not None:
            check_least("new_words", self.new_words, 1)
        if self.layer_rate == 0 and self.low_rank:
            raise ConfigError(
                "layer_rate=0 lets only the output learn, low_rank gives the layers "
                "below it something to learn; received both. Leave one of them out."
            )

    @property
    def steers(self) -> bool:
        """Whether the optimizer has rates by layer or a pull."""
        return self.decay > 0 or self.layer_rate < 1 or self.unfreeze > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the values, fit for JSON."""
        return asdict(self)


LEAST_STEPS = 400
FEWEST_PASSES, MOST_PASSES = 10, 40


def passes(settings: Settings, tokens: int, lines: int) -> int:
    """Return how many passes over a new text make about `LEAST_STEPS` steps.

    A page needs more passes than a book, and a line more than do it good; with
    validation text the best of them is kept (see `docs/adapt.md`).

    Args:
        settings: Of the run.
        tokens: Predictions in the text.
        lines: Lines in the text, which are the rows of mode=sentence.
    """
    rows = lines if settings.mode == "sentence" else tokens // settings.steps
    batches = max(1, rows // settings.batch_size)
    return min(MOST_PASSES, max(FEWEST_PASSES, math.ceil(LEAST_STEPS / batches)))
