"""`train_members`: the members of an ensemble, trained as one batched program.

Each member is the run that `train` would make of the same settings with its own seed:
its own loop, log, report and model folder. They differ from runs one after another in
that a step of all of them is one compiled program on JAX.
"""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.models.ensemble_folder import FILE, ensemble_file
from keras_rnnlm.models.folder import write_file
from keras_rnnlm.training.batches import check_resegmentation
from keras_rnnlm.training.ensemble_run import EnsembleResult, EnsembleRun
from keras_rnnlm.training.final_system import FinalSystem
from keras_rnnlm.training.identity import (
    check_identity,
    environment_changes,
    run_identity,
)
from keras_rnnlm.training.member_checkpoints import read_parts
from keras_rnnlm.training.member_checks import check_folder, check_settings
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.reporter import Reporter, SilentReporter
from keras_rnnlm.training.run_folder import RunFolder
from keras_rnnlm.training.signals import SignalFlag
from keras_rnnlm.training.word_vectors import known_vectors, read_starting_vectors


def train_members(
    corpus: Corpus,
    settings: Settings,
    out: str | Path,
    members: int,
    *,
    resume: bool = False,
    schedule: dict[str, Any] | None = None,
    reporter: Reporter | None = None,
    started: float | None = None,
    command: Sequence[str] | None = None,
) -> EnsembleResult:
    """Train an ensemble on a corpus: several networks, one compiled step for all.

    Member i, from 1, is the model that `train` makes with the seed `settings.seed +
    i - 1`, up to the rounding of sums: seeds decide its initial weights, its dropout
    and the order in which it reads the text. It is an ordinary model folder, `out` /
    `member-i`.

    Args:
        corpus: Training text; validation and test text where there are.
        settings: Of every member, but for the seed.
        out: Folder of the ensemble; must be new unless `resume` is set.
        members: Number of networks, 2 or more.
        resume: Go on from the folder's checkpoint; start over where there is none; do
            nothing where the run has finished.
        schedule: `schedule` of another run's report, to repeat it step by step.
        reporter: Told what happens: the mean over members, and each at validations.
        started: `time.monotonic()` at which a time budget begins; now when absent. The
            budget is that of all members together.
        command: The command line that was typed, for the reports; None from Python.

    Returns:
        The result; after SIGINT or SIGTERM with `interrupted` set, once a checkpoint
        is written.

    Raises:
        ConfigError: Another backend than JAX, or settings that this corpus, machine or
            optimizer cannot meet or several members cannot share.
        FolderError: `out` exists, is in use or cannot be written.
        ResumeError: `resume` with other data, settings or members.
        TrainingError: A loss or weight of a member that is not a number.

    Example:
        >>> result = train_members(corpus, Settings(minutes=10), "ensemble", 4)
        >>> result.report["test"]["perplexity"]  # of the mean of probabilities
    """
    started = monotonic() if started is None else started
    reporter = SilentReporter() if reporter is None else reporter
    check_settings(settings, members)
    check_resegmentation(settings, corpus.tokenizer)
    check_memory(settings, corpus.vocabulary_size, members, text=corpus.train)
    system = FinalSystem(corpus, settings) if settings.system_minutes else None
    each = [settings.replace(seed=settings.seed + i) for i in range(members)]
    identities = [
        {**run_identity(corpus, own, schedule), "member": i, "members": members}
        for i, own in enumerate(each, 1)
    ]
    build_optimizer(settings)  # a wrong name shows before there is a folder
    vectors = None
    if not resume:
        vectors = read_starting_vectors(settings, corpus, reporter, members)
    folder = RunFolder(out, resume)
    try:
        if resume:
            check_folder(folder.path, members)
        report = folder.report() if resume else None
        if report is not None:
            stored = {**report["identity"], "settings": report["settings"]}
            check_identity(stored, identities[0], out)
            reporter.note(f"The run in '{out}' has finished; nothing to do.")
            return EnsembleResult(folder.path, report)
        parts = read_parts(folder.path, members) if resume else None
        if parts is not None:
            check_identity(parts[0].meta["identity"], identities[0], out)
            for sentence in environment_changes(parts[0].meta["environment"]):
                reporter.note(sentence)
            vectors = known_vectors(parts[0].meta["identity"])
        elif resume:
            reporter.note("There is no checkpoint; the run starts over.")
            vectors = read_starting_vectors(settings, corpus, reporter, members)
        for identity in identities:
            identity["vectors"] = None if vectors is None else vectors.facts
        write_file(folder.path / FILE, ensemble_file([own.seed for own in each]))
        with SignalFlag() as flag:
            run = EnsembleRun(
                corpus, each, folder, flag, reporter, vectors, command, system
            )
            return run.go(parts, schedule, identities, started, resume)
    finally:
        folder.close()
