"""`--recipe suggest`: settings for the text, the machine and the time.

It is also what `rnnlm train` does without a recipe, where there is time for it.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_rnnlm.cli.process import started_at
from keras_rnnlm.errors import ConfigError

if TYPE_CHECKING:
    from keras_rnnlm.config import Settings
    from keras_rnnlm.data.corpus import Corpus

SUGGEST = "suggest"
ENOUGH = 3.0
"""Minutes from which on settings are suggested unasked: measuring takes some 20 seconds
of them, more where the kernels have to be compiled first."""
_LATE = 0.5
"""Share of the time after which measuring does not begin."""


def minutes_to_suggest_for(
    recipe: str | None, settings: "Settings", members: int | None
) -> float | None:
    """Return the time to suggest settings for; None where a recipe has them.

    Args:
        recipe: The one that was asked for, if any.
        settings: Those given; the others are to be chosen.
        members: Of an ensemble, or None.

    Raises:
        ConfigError: A suggestion was asked for without a time, or where there is none.
    """
    if recipe is None:
        able = settings.network == "rnn" and members is None
        enough = settings.minutes is not None and settings.minutes >= ENOUGH
        return settings.minutes if able and enough else None
    if recipe != SUGGEST:
        return None
    if settings.minutes is None:
        raise ConfigError(
            "--recipe suggest chooses settings for a time: give it with --minutes."
        )
    if settings.network != "rnn":
        raise ConfigError(
            "Settings are suggested for recurrent networks; received network="
            f"{settings.network}. Leave --recipe suggest out."
        )
    if members is not None:
        raise ConfigError(
            "Settings are suggested for one network; received --members. Take a recipe "
            "that rnnlm suggest writes for the time of one."
        )
    return settings.minutes


def suggested_settings(
    corpus: "Corpus",
    minutes: float,
    fixed: Mapping[str, Any],
    begun: Path | None,
    tell: Callable[[str], None],
    asked: bool,
) -> "Settings":
    """Return the suggestion; that of the run which is gone on with, if there is one.

    Where half of the time is over before measuring begins, and nobody asked for a
    suggestion, it is the recipe for the kind of text.

    Args:
        corpus: The text.
        minutes: Of the whole run; the measuring is a part of it.
        fixed: Settings that are not to be chosen.
        begun: Folder of a run to go on with.
        tell: Called with sentences.
        asked: Whether a suggestion was asked for.
    """
    from keras_rnnlm.config import Settings, default_recipe
    from keras_rnnlm.search.suggest import suggest
    from keras_rnnlm.training.train import settings_of_run

    known = None if begun is None else settings_of_run(begun)
    if known is not None:  # measured again they would be others
        return known.replace(**fixed)
    over = time.monotonic() - started_at()
    if not asked and over > _LATE * 60 * minutes:
        recipe = default_recipe(corpus.tokenizer.kind, "rnn")
        tell(
            f"Reading the text took {over / 60:.1f} of the {minutes:g} minutes: there "
            f"is no time to measure this machine, and settings are those of the recipe "
            f"{recipe}. A second run begins at once: the encoded text is kept."
        )
        return Settings.from_recipe(recipe, fixed)
    found = suggest(
        corpus,
        minutes,
        fixed=fixed,
        spent=lambda: time.monotonic() - started_at(),
        tell=tell,
    )
    chosen = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for choice in found.choices
        for name, value in choice.settings.items()
        if name not in fixed and value is not None
    )
    tell(f"Suggested (rnnlm suggest gives the reasons): {chosen}.")
    return found.settings
