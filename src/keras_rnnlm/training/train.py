"""`train`: from a corpus and settings to a model folder; one loop, on top of `fit`."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import FolderError, ResumeError
from keras_rnnlm.language_model import load
from keras_rnnlm.models.ensemble_folder import is_ensemble, member_folders
from keras_rnnlm.scoring.protocols import parse_protocol
from keras_rnnlm.training.batches import check_resegmentation
from keras_rnnlm.training.checkpoints import (
    read_checkpoint,
)
from keras_rnnlm.training.identity import (
    check_identity,
    environment_changes,
    run_identity,
    vocabulary_hash,
)
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.reporter import Reporter, SilentReporter
from keras_rnnlm.training.run import Run, TrainingResult
from keras_rnnlm.training.run_folder import REPORT, RunFolder
from keras_rnnlm.training.signals import SignalFlag
from keras_rnnlm.training.word_vectors import (
    StartingVectors,
    known_vectors,
    read_starting_vectors,
)


def train(
    corpus: Corpus,
    settings: Settings,
    out: str | Path,
    *,
    resume: bool = False,
    schedule: dict[str, Any] | None = None,
    reporter: Reporter | None = None,
    started: float | None = None,
    command: Sequence[str] | None = None,
) -> TrainingResult:
    """Train a model on a corpus and write its folder.

    Args:
        corpus: Training text; validation and test text where there are.
        settings: Of the model and the run.
        out: The model folder; must be new unless `resume` is set.
        resume: Go on from the folder's checkpoint; start over where there is none; do
            nothing where the run has finished.
        schedule: `schedule` of another run's report, to repeat it step by step.
        reporter: Told what happens.
        started: `time.monotonic()` at which a time budget begins; now when absent.
        command: The command line that was typed, for the report; None from Python.

    Returns:
        The result; after SIGINT or SIGTERM with `interrupted` set, once a checkpoint
        is written.

    Raises:
        ConfigError: Settings that this corpus, machine or optimizer cannot meet.
        FolderError: `out` exists, is in use or cannot be written.
        ResumeError: `resume` with other data or settings.
        TrainingError: A loss or weight that is not a number.
    """
    started = time.monotonic() if started is None else started
    reporter = SilentReporter() if reporter is None else reporter
    if settings.protocol is not None:
        parse_protocol(settings.protocol)
    check_resegmentation(settings, corpus.tokenizer)
    check_memory(settings, corpus.vocabulary_size, text=corpus.train)
    optimizer = build_optimizer(settings)
    identity = run_identity(corpus, settings, schedule)

    def begin(
        folder: RunFolder, flag: SignalFlag, vectors: StartingVectors | None
    ) -> Run:
        return Run(
            corpus, settings, folder, flag, reporter, optimizer, vectors, command
        )

    return conduct(
        begin, corpus, settings, identity, out, resume, reporter, started, schedule
    )


def conduct(
    begin: Callable[[RunFolder, SignalFlag, StartingVectors | None], "Run"],
    corpus: Corpus,
    settings: Settings,
    identity: dict[str, Any],
    out: str | Path,
    resume: bool,
    reporter: Reporter,
    started: float,
    schedule: dict[str, Any] | None = None,
) -> TrainingResult:
    """Hold a folder, and begin a run in it, go on with one, or find it finished.

    Args:
        begin: Makes the run; it is given the word vectors that the run begins with.
        corpus: Of the run.
        settings: Of the run.
        identity: What a resumed run must share.
        out: The model folder.
        resume: As in `train`.
        reporter: Told what happens.
        started: As in `train`.
        schedule: As in `train`.
    """
    # Before there is a folder, since the file may be of no use.
    vectors = None if resume else read_starting_vectors(settings, corpus, reporter)
    folder = RunFolder(out, resume)
    try:
        _refuse_ensemble(folder.path)
        report = folder.report() if resume else None
        if report is not None:
            check_identity(
                {**report["identity"], "settings": report["settings"]}, identity, out
            )
            reporter.note(f"The run in '{out}' has finished; nothing to do.")
            return TrainingResult(folder.path, report, load(folder.path))
        checkpoint = read_checkpoint(folder.path) if resume else None
        if checkpoint is not None:
            check_identity(checkpoint.meta["identity"], identity, out)
            for sentence in environment_changes(checkpoint.meta["environment"]):
                reporter.note(sentence)
            vectors = known_vectors(checkpoint.meta["identity"])
        elif resume:
            reporter.note("There is no checkpoint; the run starts over.")
            vectors = read_starting_vectors(settings, corpus, reporter)
        identity["vectors"] = None if vectors is None else vectors.facts
        with SignalFlag() as flag:
            run = begin(folder, flag, vectors)
            return run.go(checkpoint, schedule, identity, started)
    finally:
        folder.close()


def schedule_of(report: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Return settings and schedule that repeat a finished run step by step.

    Raises:
        ResumeError: The report has none, or is of a run that began with a model.
    """
    if report.get("adaptation"):
        raise ResumeError(
            "The run adapted another model, and a replay begins with nothing. Repeat "
            "the command of `rnnlm adapt` that made it."
        )
    try:
        schedule = report["schedule"]
        settings = Settings.from_dict({**report["settings"], "minutes": None})
    except (KeyError, TypeError) as error:
        raise ResumeError(
            f"The report holds no schedule to repeat ({error} is missing)."
        ) from error
    # A run that had to end at a time may have read long texts in lanes.
    figures = [report[part] for part in ("valid", "test") if report.get(part)]
    protocols = {each["protocol"] for each in figures}
    if len(protocols) == 1:
        schedule = {**schedule, "protocol": protocols.pop()}
    return settings, schedule


def check_replay(report: dict[str, Any], corpus: Corpus) -> None:
    """Raise `ResumeError` unless a corpus is that of a finished run.

    Args:
        report: Of the run.
        corpus: To repeat it on.
    """
    known = report.get("identity", {})
    wanted = {
        "data": corpus.hashes,
        "tokenizer": corpus.tokenizer.kind,
        "vocabulary_size": corpus.vocabulary_size,
        "vocabulary": vocabulary_hash(corpus.tokenizer),
    }
    for name, value in wanted.items():
        if name in known and known[name] != value:
            raise ResumeError(
                f"The run to repeat had other text, or another tokenizer or split: its "
                f"{name} differs. Give the text and the options that it was begun with."
            )


def settings_of_run(folder: Path) -> Settings | None:
    """Return the settings of the run in a folder, finished or not; None if none is.

    Raises:
        FolderError: Its report is damaged.
        ResumeError: Its checkpoint cannot be read, or it has several members.
    """
    _refuse_ensemble(folder)
    checkpoint = read_checkpoint(folder)
    if checkpoint is not None:
        return Settings.from_dict(checkpoint.meta["identity"]["settings"])
    path = folder / REPORT
    if not path.is_file():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return Settings.from_dict(report["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise FolderError(f"'{path}' is damaged: {error}.") from error


def _refuse_ensemble(folder: Path) -> None:
    """Raise `ResumeError` where several members are or were trained."""
    if is_ensemble(folder):
        raise ResumeError(
            f"The run in '{folder}' is of several members; this command asks for one "
            f"model. Resume with --members {len(member_folders(folder))}, or train "
            "anew with another --out."
        )
