"""What a search begins with: the recipe of trial 0, and who is trained beside the best.

Without a recipe a search goes on from what `suggest` proposes for the time of a final
run. That is measured, and so not the same twice: a search that is gone on with, or
joined through its storage, keeps the recipe that it was begun with. Where several
begin at once in one storage each measures, and the plan of the first to be ready is
that of all (`Study.settle`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_rnnlm.config import Settings, default_recipe
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.search.rungs import MINUTES, Rungs
from keras_rnnlm.search.study import Study
from keras_rnnlm.search.suggest import suggest
from keras_rnnlm.search.tune_folder import TuneFolder
from keras_rnnlm.search.tune_plan import DEFAULT, SUGGEST, TunePlan
from keras_rnnlm.setting_values import alike


@dataclass(frozen=True)
class Start:
    """Where a search begins.

    Attributes:
        settings: Of trial 0; what is not searched stays as it is there.
        rivals: Settings by name that are trained beside the best at the end.
    """

    settings: Settings
    rivals: Mapping[str, Settings]


def plan_begun(
    out: Path, resume: bool, storage: str | None, study: str
) -> TunePlan | None:
    """Return the plan of the search that is gone on with or joined; None if it is new.

    Args:
        out: Folder of the search.
        resume: Whether it is gone on with.
        storage: Where its trials are kept, if that was said.
        study: Its name there.

    Raises:
        FolderError: The folder is damaged.
        StorageError: The storage cannot be reached or written.
    """
    if resume and (folder := TuneFolder(out)).begun:
        return folder.plan
    stored = None if storage is None else Study(storage, study).plan
    return None if stored is None else TunePlan.from_dict(stored)


def other_plan(storage: str, study: str, plan: TunePlan) -> TunePlan | None:
    """Give a study its plan; return that of another search if it was first.

    Args:
        storage: Where the trials are kept.
        study: Name of the search there.
        plan: Of this search.

    Raises:
        StorageError: The storage cannot be reached or written.
    """
    mine = plan.to_dict()
    settled = Study(storage, study).settle(mine)
    return None if alike(settled, mine) else TunePlan.from_dict(settled)


def rivals_of(rungs: Rungs, network: str) -> tuple[str, ...]:
    """Return the names of the rivals that a new search will have."""
    return (DEFAULT, SUGGEST) if can_suggest(rungs, network) else (DEFAULT,)


def can_suggest(rungs: Rungs, network: str) -> bool:
    """Whether there is a suggestion: for recurrent networks and a time, not steps."""
    return rungs.unit == MINUTES and network == "rnn"


def start_of(
    corpus: Corpus,
    recipe: str | None,
    fixed: Mapping[str, Any],
    rungs: Rungs,
    tell: Callable[[str], None] = lambda _: None,
) -> Start:
    """Return where a new search begins; the machine may be measured for seconds.

    Args:
        corpus: The text.
        recipe: Name or path of the recipe to begin with, if there is one.
        fixed: Settings that beat any recipe.
        rungs: Of the search.
        tell: Called with sentences about what is done.

    Raises:
        ConfigError: Settings that cannot be.
    """
    network = fixed.get("network", "rnn")
    kind = corpus.tokenizer.kind
    default = Settings.from_recipe(recipe or default_recipe(kind, network), fixed)
    if not can_suggest(rungs, default.network):
        return Start(default, {DEFAULT: default})
    suggested = suggest(corpus, rungs.budgets[-1], fixed=fixed, tell=tell).settings
    base = suggested if recipe is None else default
    if suggested.evaluation_protocol != base.evaluation_protocol:
        # A recipe has one of its own, and the final runs are held against each other.
        suggested = suggested.replace(protocol=base.evaluation_protocol)
    return Start(base, {DEFAULT: default, SUGGEST: suggested})


def start_of_begun(
    begun: TunePlan, settings: Settings | None, fixed: Mapping[str, Any]
) -> Start:
    """Return where a search begins that is gone on with or joined.

    Args:
        begun: Its plan.
        settings: Of the recipe that was asked for; None for that of the search.
        fixed: Settings that beat the recipe of the search.
    """
    base = begun.settings.replace(**fixed) if settings is None else settings
    return Start(base, begun.rivals)
