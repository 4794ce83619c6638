"""The record of a run in a comparison, and the file that keeps all of them."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import FolderError
from keras_rnnlm.models.folder import json_bytes, write_file

FORMAT = 1
NAME = "comparison.json"
LOSSES = "losses"
FINAL = "final"
TRIAL = "trial"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished or failed run of one model.

    Attributes:
        name: Of the run and its folder, such as `lstm-seed0` or `lstm-trial2`.
        model: Name of the contestant.
        kind: `trial`, judged on validation text alone, or `final`.
        trial: Number of the trial; of a final run that whose settings it has.
        seed: Seed of the run.
        identity: What the run is a run of: settings, data, code, environment.
        hash: SHA-256 of that.
        weights_hash: SHA-256 of the weights' file, or of the n-gram tables; None for a
            run that failed.
        parameters: Number of weights, or of n-grams.
        optimizer_steps: How many were taken; None for n-grams.
        valid: Figures on the validation text, as in a report; None after a failure.
        test: The same on the test text; None for trials and without such a text.
        training_tokens_per_second: Median over the run; of counting, for n-grams.
        generation_tokens_per_second: One text by itself; None for trials.
        weight_bytes: What generating has to keep: weights as float32, or tables.
        state_bytes: And the state of one text.
        seconds: Of the whole run, final figures included.
        history: (seconds, nats per token on the validation text) as it went on.
        failure: Why there are no figures; None where there are.
    """

    name: str
    model: str
    kind: str
    trial: int
    seed: int
    identity: dict[str, Any]
    hash: str
    weights_hash: str | None = None
    parameters: int | None = None
    optimizer_steps: int | None = None
    valid: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    training_tokens_per_second: float | None = None
    generation_tokens_per_second: float | None = None
    weight_bytes: int | None = None
    state_bytes: int | None = None
    seconds: float | None = None
    history: list[list[float]] = field(default_factory=list)
    failure: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """All settings; of the n-gram model its order."""
        found: dict[str, Any] = self.identity["settings"]
        return found

    @property
    def valid_nats(self) -> float:
        """Nats per token on the validation text; infinite after a failure."""
        return float("inf") if self.valid is None else float(self.valid["loss"])

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return dataclasses.asdict(self)


def hash_of(value: Any) -> str:
    """Return the SHA-256 of a value's JSON, in whatever order its keys came."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Records:
    """All runs of a comparison, kept in its folder as they are finished.

    Attributes:
        folder: Of the comparison.
        facts: What is true of all runs: data, environment, code, budget.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Read what a folder has; nothing where it is new.

        Raises:
            FolderError: Its file is damaged or of another version.
        """
        self.folder = folder
        self.facts = dict(facts)
        self._runs = {run.name: run for run in _read(folder / NAME)}

    @property
    def runs(self) -> list[Run]:
        """All runs in the order in which they were finished."""
        return list(self._runs.values())

    def find(self, name: str) -> Run | None:
        """Return the run of a name, if it is there."""
        return self._runs.get(name)

    def add(self, run: Run, block_nats: NDArray[np.float64] | None = None) -> None:
        """Keep a run, and its losses by block of the test text.

        Raises:
            FolderError: The folder cannot be written.
        """
        self._runs[run.name] = run
        try:
            if block_nats is not None:
                losses = self.folder / LOSSES
                losses.mkdir(exist_ok=True)
                rows = {"blocks": block_nats.tolist()}
                write_file(losses / f"{run.name}.json", json_bytes(rows))
            self.write()
        except OSError as error:
            raise FolderError(
                f"Cannot write '{self.folder}': {error.strerror}. Make room, then go "
                "on with --resume."
            ) from error

    def write(self) -> None:
        """Write the file of all runs."""
        runs = [run.to_dict() for run in self._runs.values()]
        content = {"format": FORMAT, **self.facts, "runs": runs}
        write_file(self.folder / NAME, json_bytes(content))

    def block_nats(self, name: str) -> NDArray[np.float64] | None:
        """Return the losses of a run by block; None if it has none.

        Raises:
            FolderError: Their file is damaged.
        """
        path = self.folder / LOSSES / f"{name}.json"
        if not path.is_file():
            return None
        try:
            return np.array(json.loads(path.read_text("utf-8"))["blocks"], np.float64)
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from error


def _read(path: Path) -> list[Run]:
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        return [Run(**run) for run in content["runs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> FolderError:
    return FolderError(
        f"'{path}' is damaged or of another version ({error}). Remove it and go on "
        "with --resume: runs that have finished are not trained again."
    )
