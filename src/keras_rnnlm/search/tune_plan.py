"""What a search is: recipe, space, rungs, sampler, rivals; checked, kept as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError, InputError, ResumeError
from keras_rnnlm.search.rungs import Rungs
from keras_rnnlm.search.space import (
    Space,
    point_of,
    settings_at,
    space_from_dict,
    space_to_dict,
)
from keras_rnnlm.setting_values import alike

if TYPE_CHECKING:
    from keras_rnnlm.data.corpus import Corpus

BEST, DEFAULT, SUGGEST = "best", "default", "suggest"
NEAR = "near"
"""The sampler that changes good trials; `tpe` and `random` are Optuna's."""
_OF_TRIALS = 10_000
"""Trials have a seed far from that of the final runs: settings that were lucky with it
would look better than they are."""


@dataclass(frozen=True)
class TunePlan:
    """A search before its first trial.

    Attributes:
        settings: The recipe: what is not searched, and the point of trial 0 if the
            space has it.
        space: What is searched.
        rungs: Budgets, and who goes on.
        sampler: `near`, `tpe` or `random`.
        seed: Of all that is drawn.
        rivals: Settings by name that are trained beside the best at the end.
        data: SHA-256 of the training and the validation text.
    """

    settings: Settings
    space: Space
    rungs: Rungs
    sampler: str
    seed: int
    rivals: Mapping[str, Settings]
    data: Mapping[str, str]

    def trial_settings(self, point: Mapping[str, Any], rung: int) -> Settings:
        """Return the settings of a trial on a rung.

        Raises:
            ConfigError: They cannot be together.
        """
        found = settings_at(self.settings, point)
        changes = self.rungs.changes(rung)
        # One change at a time would meet two budgets.
        return found.replace(**changes, seed=_OF_TRIALS + self.seed)

    def final_settings(self, settings: Settings) -> Settings:
        """Return settings of a final run: the budget of the last rung, the own seed."""
        changes = self.rungs.changes(self.rungs.last)
        return settings.replace(**changes, seed=self.settings.seed)

    @property
    def first_point(self) -> dict[str, Any] | None:
        """The point of trial 0: the recipe; None if it is outside of the space."""
        return None if self.outside else point_of(self.settings, self.space)

    @property
    def outside(self) -> dict[str, Any]:
        """Values of the recipe that the search does not try."""
        point = point_of(self.settings, self.space)
        return {k: v for k, v in point.items() if v not in self.space[k]}

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return {
            "settings": self.settings.to_dict(),
            "space": space_to_dict(self.space),
            "rungs": self.rungs.to_dict(),
            "sampler": self.sampler,
            "seed": self.seed,
            "rivals": {name: each.to_dict() for name, each in self.rivals.items()},
            "data": dict(self.data),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TunePlan":
        """Return what `to_dict` wrote."""
        return cls(
            Settings.from_dict(values["settings"]),
            space_from_dict(values["space"]),
            Rungs.from_dict(values["rungs"]),
            values["sampler"],
            values["seed"],
            {n: Settings.from_dict(v) for n, v in values["rivals"].items()},
            values["data"],
        )


def make_tune_plan(
    corpus: "Corpus",
    settings: Settings,
    space: Space,
    rungs: Rungs,
    *,
    sampler: str = NEAR,
    seed: int = 0,
    rivals: Mapping[str, Settings] | None = None,
) -> TunePlan:
    """Return a plan, once it is sure that its recipe can be trained.

    Args:
        corpus: The text; its test part is never looked at.
        settings: The recipe; a budget in it gives way to that of the rungs.
        space: What is searched.
        rungs: Budgets.
        sampler: `near`, `tpe` or `random`.
        seed: Of the search.
        rivals: Settings by name to train beside the best at the end, for the budget
            of the last rung; by default the recipe, as `default`.

    Raises:
        ConfigError: An empty space, or a recipe that cannot be trained.
        InputError: No validation text.
    """
    # Keras, which the workers of a search do without.
    from keras_rnnlm.training.memory import check_memory
    from keras_rnnlm.training.optimizers import build_optimizer

    if corpus.valid is None:
        raise InputError(
            "A search needs validation text: it decides which trials are best. Give "
            "--valid FILE, or a --split such as 0.9,0.1."
        )
    if not space:
        raise ConfigError("There is nothing to search; give --search key=low:high.")
    if settings.system_minutes:
        raise ConfigError(
            "Trials are judged without what evaluation adds; received system_minutes="
            f"{settings.system_minutes:g}. Use --set system_minutes=0, and give the "
            "time when you train the best recipe."
        )
    budget = rungs.changes(rungs.last)
    settings = settings.replace(**budget)
    rivals = {DEFAULT: settings} if rivals is None else rivals
    for each in (settings, *rivals.values()):
        build_optimizer(each)
        check_memory(each, corpus.vocabulary_size, text=corpus.train)
    return TunePlan(
        settings,
        space,
        rungs,
        sampler,
        seed,
        {name: each.replace(**budget) for name, each in rivals.items()},
        {"train": corpus.train.sha256, "valid": corpus.valid.sha256},
    )


def check_same(stored: Mapping[str, Any], wanted: TunePlan, where: str) -> None:
    """Raise `ResumeError`, naming the first difference, unless two plans are one.

    Args:
        stored: `to_dict` of the plan that a folder or a study has.
        wanted: The plan of this command.
        where: The folder or the study.
    """
    asked = wanted.to_dict()
    for part in ("data", "settings", "space", "rungs"):
        old, new = stored[part], asked[part]
        for key in {**old, **new}:
            if not alike(old.get(key), new.get(key)):
                raise ResumeError(
                    f"The search in {where} has {part} {key}={old.get(key)}; this "
                    f"command asks for {new.get(key)}. Go on with the text and the "
                    "settings that it was begun with, or begin another one."
                )
    for part in ("sampler", "seed"):
        if stored[part] != asked[part]:
            raise ResumeError(
                f"The search in {where} has {part}={stored[part]}; this command asks "
                f"for {asked[part]}. Go on as it was begun, or begin another one."
            )
