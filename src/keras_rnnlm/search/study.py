"""The study that workers share: trials are begun, reported and ended here alone.

A trial belongs to a folder from the instant it is there: its record is created with an
owner in it, so that a process that is killed leaves a trial that its folder goes on
with, and never one that nobody knows of.
"""

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from keras_rnnlm.errors import ConfigError, RNNLMError, StorageError
from keras_rnnlm.search.rungs import Rungs
from keras_rnnlm.search.space import Choice, Range, Space

try:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
except ModuleNotFoundError as error:
    raise ConfigError(
        "Searching needs Optuna: pip install 'keras-rnnlm[tune]'."
    ) from error

from keras_rnnlm.search.journal import Journal, create_journal

OWNER, PLAN = "owner", "plan"
FAILURE, SAME = "failure", "same_as"
_CONNECT = 10  # seconds
_ATTEMPTS = 5

State = TrialState
Record = FrozenTrial

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class Study:
    """One study in a storage.

    Attributes:
        where: Path of a journal, or URL of a database.
        name: Of the study.
    """

    def __init__(self, where: str, name: str, make: bool = True) -> None:
        """Open a study.

        Args:
            where: Path of a journal, or URL of a database.
            name: Of the study.
            make: Whether to make a journal where there is none; a worker does not, for
                which it is gone.

        Raises:
            StorageError: The storage cannot be reached or written.
        """
        self.where, self.name = where, name
        with storage_errors(where):
            # With Optuna's cache before a database, as a study puts it there.
            self._storage = optuna.storages.get_storage(_opened(where, make))
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="minimize",
                pruner=optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
            self._id = self._storage.get_study_id_from_name(name)

    @property
    def plan(self) -> dict[str, Any] | None:
        """What it was begun for; None if it is new."""
        with storage_errors(self.where):
            found: dict[str, Any] | None = self._study.user_attrs.get(PLAN)
            return found

    @plan.setter
    def plan(self, plan: Mapping[str, Any]) -> None:
        with storage_errors(self.where):
            self._study.set_user_attr(PLAN, dict(plan))

    def settle(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Give a study that is shared its plan, if it has none; return what it has.

        Of several processes or machines that do so at once all are given one plan, that
        of the first. Each enters its own as a trial of a second study; those are
        numbered one after the other by a journal and by a database, and come whole, so
        that the lowest number is the same for all. Who ends in between leaves an entry
        that counts.

        Args:
            plan: What the study shall be for, ready for JSON.
        """
        if (known := self.plan) is not None:
            return known
        with storage_errors(self.where):
            entries = optuna.create_study(
                storage=self._storage,
                # A study that was deleted and made again has another number.
                study_name=f"{self.name} (plans of {self._id})",
                load_if_exists=True,
            )
            entries.add_trial(
                create_trial(state=State.FAIL, user_attrs={PLAN: dict(plan)})
            )
            first = min(entries.get_trials(), key=lambda entry: entry.number)
            found: dict[str, Any] = first.user_attrs[PLAN]
            self._study.set_user_attr(PLAN, found)  # the same, whoever writes it last
            return found

    def trials(self) -> list[Record]:
        """Return all trials in the order of their numbers."""
        with storage_errors(self.where):
            found = self._study.get_trials(deepcopy=True)
        return sorted(found, key=lambda trial: trial.number)

    def trial(self, number: int) -> Record:
        """Return a trial."""
        with storage_errors(self.where):
            found: Record = self._storage.get_trial(self._trial_id(number))
            return found

    def create(self, owner: str) -> Record:
        """Create a running trial that belongs to a folder; it has no point yet."""
        with storage_errors(self.where):
            template = create_trial(state=State.RUNNING, user_attrs={OWNER: owner})
            made = self._storage.create_new_trial(self._id, template)
            found: Record = self._storage.get_trial(made)
            return found

    def choose(
        self,
        number: int,
        space: Space,
        sampler: str,
        seed: int,
        point: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the point of a running trial; what has been chosen stays.

        Args:
            number: Of the trial. With the seed it decides on all chance there is, so
                that no two trials, and no search that goes on, begin with one draw.
            space: Where to look.
            sampler: `tpe`; any other draws by chance what `point` does not have.
            seed: Of the search.
            point: To take in the place of drawing one.
        """
        with storage_errors(self.where):
            # The cache knows trials of other processes only from the whole list.
            self._storage.get_all_trials(self._id, deepcopy=False)
            trial_id = self._trial_id(number)
            if point is not None:
                known = self._storage.get_trial(trial_id).params
                for key, dimension in space.items():
                    if key in known:
                        continue
                    kind = distribution(dimension)
                    value = kind.to_internal_repr(point[key])
                    self._storage.set_trial_param(trial_id, key, value, kind)
            self._study.sampler = _sampler(sampler, seed * 1_000_003 + number)
            trial = Trial(self._study, trial_id)
            for key, dimension in space.items():
                _suggest(trial, key, dimension)
            return dict(self._storage.get_trial(trial_id).params)

    def report(
        self, number: int, rung: int, loss: float, facts: Mapping[str, Any]
    ) -> None:
        """Record what a trial reached on a rung.

        Args:
            number: Of the trial.
            rung: Which it has finished.
            loss: Nats a token on the validation text; infinite if there is none.
            facts: What else is known, ready for JSON.
        """
        with storage_errors(self.where):
            trial_id = self._trial_id(number)
            # The value last: who has the value has the facts.
            self._storage.set_trial_user_attr(trial_id, facts_key(rung), dict(facts))
            self._storage.set_trial_intermediate_value(trial_id, rung, loss)

    def end(self, number: int, state: State, **facts: Any) -> None:
        """End a trial: complete with the loss of its last rung, pruned or failed."""
        with storage_errors(self.where):
            trial_id = self._trial_id(number)
            for key, value in facts.items():
                self._storage.set_trial_user_attr(trial_id, key, value)
            values = None
            if state is State.COMPLETE:
                found = self._storage.get_trial(trial_id).intermediate_values
                values = [found[max(found)]]
            self._storage.set_trial_state_values(trial_id, state, values)

    def restore(self, trials: Iterable[Record]) -> list[Record]:
        """Put trials in under the next numbers; return them as they are there."""
        with storage_errors(self.where):
            made = [self._storage.create_new_trial(self._id, each) for each in trials]
            return [self._storage.get_trial(trial_id) for trial_id in made]

    def _trial_id(self, number: int) -> int:
        found: int = self._storage.get_trial_id_from_study_id_trial_number(
            self._id, number
        )
        return found


def facts_key(rung: int) -> str:
    """Return the name under which facts of a rung are kept."""
    return f"rung{rung}"


def seconds_a_step(trials: Iterable[Record]) -> float:
    """Return the median of what an optimizer step took in runs; 0 before any."""
    facts = [
        facts
        for trial in trials
        for rung in trial.intermediate_values
        if (facts := trial.user_attrs.get(facts_key(rung), {})).get("steps")
    ]
    return median([f["seconds"] / f["steps"] for f in facts]) if facts else 0.0


def unfinished(trial: Record, owner: str) -> bool:
    """Whether a trial is one that a folder goes on with."""
    return trial.state is State.RUNNING and trial.user_attrs.get(OWNER) == owner


def next_rung(trial: Record, rungs: Rungs) -> int:
    """Return the rung that a running trial has to finish."""
    done = trial.intermediate_values
    return max(done) + 1 if done else rungs.first(trial.number)


def losses_on(trials: Iterable[Record], rung: int) -> dict[int, float]:
    """Return the losses of a rung by number of the trial."""
    return {
        trial.number: trial.intermediate_values[rung]
        for trial in trials
        if rung in trial.intermediate_values
    }


def figures(trial: Record) -> dict[int, float]:
    """Return the losses of a trial by rung, without those that it failed on."""
    losses = trial.intermediate_values
    return {rung: loss for rung, loss in losses.items() if math.isfinite(loss)}


def by_merit(trials: Iterable[Record]) -> list[Record]:
    """Return the trials that have a figure: the highest rung first, then the loss."""
    able = [trial for trial in trials if figures(trial)]
    return sorted(able, key=lambda t: (-max(f := figures(t)), f[max(f)], t.number))


def best_of(trials: Iterable[Record]) -> tuple[Record, int] | None:
    """Return the trial with the lowest loss on the highest rung that any finished."""
    ranked = by_merit(trials)
    return (ranked[0], max(figures(ranked[0]))) if ranked else None


def distribution(dimension: Range | Choice) -> BaseDistribution:
    """Return a dimension as Optuna has it."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.whole:
        step = int(dimension.step or 1)
        low, high = int(dimension.low), int(dimension.high)
        return IntDistribution(low, high, log=dimension.log, step=step)
    return FloatDistribution(
        dimension.low, dimension.high, log=dimension.log, step=dimension.step
    )


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Let whatever a storage raises be one `StorageError` with what to do."""
    try:
        yield
    except RNNLMError:
        raise
    except ImportError as error:
        if not is_url(where):
            raise
        raise StorageError(
            f"The storage '{hidden(where)}' needs a driver that is not installed "
            f"({error}). For PostgreSQL: pip install 'psycopg[binary]'; for MySQL: pip "
            "install pymysql, with a URL that begins mysql+pymysql://."
        ) from error
    except Exception as error:
        if not _of_storage(error):
            raise
        said = _words(error)
        raise StorageError(
            f"The storage '{hidden(where)}' cannot be used: {said.rstrip('.')}."
        ) from error


def hidden(where: str) -> str:
    """Return a path, or a URL without its password."""
    scheme, found, rest = where.partition("://")
    if not found:
        return where
    login, at, host = rest.rpartition("@")
    user = login.partition(":")[0]
    secret = ":***" if ":" in login else ""
    return f"{scheme}://{user}{secret}{at}{host}"


def is_url(where: str) -> bool:
    """Whether a storage is a database."""
    return "://" in where


def _opened(where: str, make: bool) -> Any:
    """Open a storage; a new database may be made ready by another machine right now."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return _open(where, make)
        except Exception as error:
            if not _made_twice(error):
                raise
            time.sleep(1.0)
    return _open(where, make)


def _made_twice(error: Exception) -> bool:
    """Whether two were making the same tables."""
    both = (error, error.__cause__)
    names = {kind.__name__ for each in both for kind in type(each).__mro__}
    return bool(names & {"IntegrityError", "ProgrammingError"})


def _open(where: str, make: bool) -> Any:
    if not is_url(where):
        if make:
            create_journal(Path(where))
        return optuna.storages.JournalStorage(Journal(Path(where)))
    options: dict[str, Any] = {"pool_pre_ping": True}
    if where.startswith(("postgresql", "mysql", "mariadb")):
        options["connect_args"] = {"connect_timeout": _CONNECT}
    return optuna.storages.RDBStorage(where, engine_kwargs=options)


def _words(error: Exception) -> str:
    """Return the first line of what went wrong at the bottom of it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'its file'}: {error.strerror}"
    said = str(error.__cause__ or error).strip().splitlines() or [""]
    return said[0]


def _of_storage(error: Exception) -> bool:
    """Whether an exception comes from a file, a database or its library."""
    if isinstance(error, OSError | optuna.exceptions.StorageInternalError):
        return True
    return any(
        kind.__module__.partition(".")[0] in ("sqlalchemy", "alembic")
        for kind in type(error).__mro__
    )


def _sampler(name: str, seed: int) -> Any:
    seed %= 2**32
    if name != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)
    # Trials that are running count as bad ones: two workers do not try the same place.
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _suggest(trial: Trial, key: str, dimension: Range | Choice) -> None:
    if isinstance(dimension, Choice):
        trial.suggest_categorical(key, dimension.values)
    elif dimension.whole:
        trial.suggest_int(
            key,
            int(dimension.low),
            int(dimension.high),
            step=int(dimension.step or 1),
            log=dimension.log,
        )
    else:
        trial.suggest_float(
            key, dimension.low, dimension.high, step=dimension.step, log=dimension.log
        )
