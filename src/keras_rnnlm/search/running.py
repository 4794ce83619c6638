"""One run of a comparison: trained or counted, then measured."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError, ProbabilityError, TrainingError
from keras_rnnlm.files import file_hash
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.report import figures_of, finite
from keras_rnnlm.search.measures import (
    block_sums,
    network_memory,
    network_nats,
    network_speed,
    ngram_memory,
    ngram_speed,
)
from keras_rnnlm.search.runs import FINAL, Run, hash_of
from keras_rnnlm.training.identity import VECTORS, run_identity
from keras_rnnlm.training.reporter import Reporter
from keras_rnnlm.training.run_folder import LOG
from keras_rnnlm.training.signals import Interrupted
from keras_rnnlm.training.train import train

Blocks = NDArray[np.float64] | None
_BESIDE = ("code", "memory")
"""What an environment has that the hash of a run does without: the code, which stands
in it by itself, and the memory, which may differ from one start of a machine to the
next and decides nothing."""


@dataclass(frozen=True)
class Task:
    """A run to be done.

    Attributes:
        model: Name of the contestant.
        kind: `trial` or `final`.
        trial: Number of the trial whose settings it has.
        settings: Of a network, its seed included, or the order of the n-gram model.
        seed: Of the run.
    """

    model: str
    kind: str
    trial: int
    settings: Settings | int
    seed: int

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        if self.kind != FINAL:
            return f"{self.model}-trial{self.trial}"
        if isinstance(self.settings, int):  # without chance, so without seeds
            return self.model
        return f"{self.model}-seed{self.seed}"

    def corpus(self, corpus: Corpus) -> Corpus:
        """Return what the run may see: a trial sees no test text."""
        return corpus if self.kind == FINAL else replace(corpus, test=None)


def identity_of(task: Task, corpus: Corpus, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what a run is a run of; its hash is the hash of the run.

    Args:
        task: The run.
        corpus: The whole corpus.
        facts: `code` and `environment` of this process.
    """
    given = task.settings
    settings = given if isinstance(given, Settings) else Settings()
    found = run_identity(task.corpus(corpus), settings, None)
    if settings.vectors is not None:
        found[VECTORS] = _hash_of_vectors(settings.vectors)
    if not isinstance(given, Settings):
        found["settings"] = {"order": given}
    environment = {k: v for k, v in facts["environment"].items() if k not in _BESIDE}
    both = {"code": facts["code"], "environment": environment}
    return {"model": task.model, **found, **both}


def run_network(
    task: Task,
    corpus: Corpus,
    identity: dict[str, Any],
    folder: Path,
    reporter: Reporter,
    check: Callable[..., None],
) -> tuple[Run, Blocks]:
    """Train a network in a folder, or go on with it, and measure it.

    Args:
        task: The run; its settings are those of a network.
        corpus: The whole corpus.
        identity: See `identity_of`.
        folder: Of the run.
        reporter: Told of the training.
        check: Called between the parts of the work; may raise to stop it.

    Returns:
        The record, and the losses by block of the test text for a final run. Training
        that fails with a loss that is not a number, be it in the last evaluation alone,
        is a record of its failure.

    Raises:
        Interrupted: After a signal; a checkpoint is in the folder.
    """
    given, settings = task.corpus(corpus), task.settings
    if not isinstance(settings, Settings):
        raise TypeError(f"Expected settings of a network, received {settings!r}.")
    try:
        result = train(
            given, settings, folder, resume=folder.exists(), reporter=reporter
        )
    except (TrainingError, ProbabilityError) as error:
        return _record(task, identity, failure=str(error)), None
    if result.interrupted is not None or result.language_model is None:
        raise Interrupted(result.interrupted or 0)
    report = result.report
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    speed, history = _told(folder)
    found = {
        "weights_hash": manifest["sha256"]["model.safetensors"],
        "parameters": report["parameters"],
        "optimizer_steps": report["schedule"]["steps"],
        "valid": report["valid"],
        "test": report["test"],
        "training_tokens_per_second": speed,
        "seconds": report["seconds"],
        "history": history,
    }
    if task.kind != FINAL:
        return _record(task, identity, **found), None
    check()
    measured, blocks = _measured(result.language_model, given, report["test"], check)
    return _record(task, identity, **found, **measured), blocks


def run_ngram(
    task: Task, corpus: Corpus, identity: dict[str, Any], check: Callable[..., None]
) -> tuple[Run, Blocks]:
    """Count an n-gram model and measure it; see `run_network`."""
    given = task.corpus(corpus)
    if not isinstance(task.settings, int):
        raise TypeError(f"Expected an order, received {task.settings!r}.")
    begun = time.perf_counter()
    model = NGramModel.fit(given.train, given.vocabulary_size, task.settings)
    fitted = time.perf_counter() - begun
    check()
    valid = _figures(model, given.parts()["valid"])
    seconds = time.perf_counter() - begun
    weight_bytes, state_bytes = ngram_memory(model)
    found = {
        "weights_hash": _tables_hash(model),
        "parameters": sum(len(table) for table in model.tables),
        "valid": valid,
        "training_tokens_per_second": given.train.counts.tokens_predicted / fitted,
        "weight_bytes": weight_bytes,
        "state_bytes": state_bytes,
        "seconds": seconds,
        "history": [[seconds, valid["loss"]]],
    }
    if task.kind != FINAL:
        return _record(task, identity, **found), None
    blocks = None
    if given.test is not None:
        begun = time.perf_counter()
        found["test"] = _figures(model, given.test)
        found["seconds"] = seconds + time.perf_counter() - begun
        blocks = block_sums(-model.log_probabilities(given.test))
    check()
    speed = ngram_speed(model, given.parts()["valid"])
    return _record(task, identity, generation_tokens_per_second=speed, **found), blocks


def _record(task: Task, identity: dict[str, Any], **found: Any) -> Run:
    return Run(
        name=task.name,
        model=task.model,
        kind=task.kind,
        trial=task.trial,
        seed=task.seed,
        identity=identity,
        hash=hash_of(identity),
        **found,
    )


def _told(folder: Path) -> tuple[float | None, list[list[float]]]:
    """Return speed and validations as the log of a run has them."""
    with (folder / LOG).open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    speeds = [row["tokens_per_second"] for row in rows if row["event"] == "train"]
    speeds = [speed for speed in speeds if speed > 0]  # 0: a run of a single step
    history = [
        [row["seconds"], row["valid_loss"]] for row in rows if row["event"] == "valid"
    ]
    return (statistics.median(speeds) if speeds else None), history


def _measured(
    model: LanguageModel,
    corpus: Corpus,
    figures: dict[str, Any] | None,
    check: Callable[..., None],
) -> tuple[dict[str, Any], Blocks]:
    """Return speed and memory of generation, and the losses on the test text.

    Args:
        model: Trained.
        corpus: Holds the texts.
        figures: The report of the test text, whose protocol is taken.
        check: Called as it goes on; may raise to stop it.
    """
    network: Any = model.network
    weight_bytes, state_bytes = network_memory(network)
    measured = {
        "generation_tokens_per_second": network_speed(network, corpus.parts()["valid"]),
        "weight_bytes": weight_bytes,
        "state_bytes": state_bytes,
    }
    check()
    if corpus.test is None or figures is None:
        return measured, None
    nats = network_nats(network, corpus.test, figures["protocol"], check)
    return measured, block_sums(nats)


def _figures(model: NGramModel, text: EncodedText) -> dict[str, Any]:
    return finite(figures_of(model.totals(text), text))


@cache
def _hash_of_vectors(path: str) -> str:
    try:
        return file_hash(Path(path).expanduser())
    except OSError as error:
        raise InputError(
            f"The word vectors '{path}' cannot be read ({error.strerror}). A "
            "comparison is known by them: put the file back."
        ) from error


def _tables_hash(model: NGramModel) -> str:
    digest = sha256()
    for table in model.tables:
        for array in (table.keys, table.log_probabilities, table.log_backoffs):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
