"""The study of a folder, opened; what its storage has lost is put back.

A storage may be deleted, or set back to an old copy. Every trial has a record in the
folder that trained it, so whoever goes on in a folder puts back those of its trials
that the study lacks. Of the trials of other folders that share the storage it knows
nothing but that numbers are missing, and holds these with trials that count as failed.

Optuna changes neither the number of a trial nor one that has ended. So a trial whose
number is taken by then, by such a failed one or by a new one of another folder, is put
back under a new number. Its folder keeps its name, and the trial says which that is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import create_trial

from keras_rnnlm.search.study import FAILURE, OWNER, Record, State, Study
from keras_rnnlm.search.trial_records import (
    LOST,
    begun_as,
    folder_numbers,
    missing_records,
    write_record,
)
from keras_rnnlm.search.tune_folder import TuneFolder
from keras_rnnlm.search.tune_plan import check_same


@dataclass(frozen=True)
class PutBack:
    """What a study that had lost trials was given.

    Attributes:
        trials: Those of the folder that are there again.
        renumbered: How many of them have another number now.
        failed: Numbers of which the folder has no record.
    """

    trials: int = 0
    renumbered: int = 0
    failed: int = 0

    @property
    def notes(self) -> list[str]:
        """Sentences on it; none where nothing was lost."""
        said = []
        if self.trials:
            said.append(
                f"The storage had lost trials of this folder; {self.trials} are there "
                "again, from their own records."
            )
        if self.renumbered:
            said.append(
                f"{self.renumbered} of them have new numbers, since others have theirs "
                "by now; their folders keep their names."
            )
        if self.failed:
            said.append(
                f"{self.failed} that the storage had lost could not be put back: this "
                "folder has no records of them, and they count as failed. Trials of "
                "another --out come back, under new numbers, with --resume there."
            )
        return said


def open_study(folder: TuneFolder, tell: Callable[[str], None]) -> Study:
    """Return the study of a folder, with all trials that the folder has records of.

    Args:
        folder: Of the search.
        tell: Called with sentences on what is found there.

    Raises:
        FolderError: A record that is needed is damaged, or cannot be written.
        ResumeError: The study is another search's by now.
        StorageError: The storage cannot be reached or written.
    """
    study = Study(folder.storage, folder.study_name)
    plan = folder.plan
    if not folder.shared and study.plan is None:
        study.plan = plan.to_dict()
    # Before any trial is put back: another search may have begun in an empty storage.
    check_same(study.settle(plan.to_dict()), plan, f"study '{study.name}'")
    if known := len(study.trials()):
        tell(f"The study has {known} trials already.")
    for sentence in put_back(study, folder.path, folder.owner).notes:
        tell(sentence)
    return study


def put_back(study: Study, folder: Path, owner: str) -> PutBack:
    """Put back the trials of a folder that a study lacks.

    Each is put back in one write that says what it was begun as. So one that is killed
    meanwhile, or has others beside it who do the same, puts back no trial twice.

    Args:
        study: Of the search.
        folder: Of the search.
        owner: What says in the study that a trial belongs to the folder.
    """
    trials = study.trials()
    mine = [trial for trial in trials if trial.user_attrs.get(OWNER) == owner]
    at: dict[int, Record] = {}
    late = []
    for record in missing_records(folder, {begun_as(trial) for trial in mine}):
        if record.number < len(trials) or record.number in at:
            late.append(record)
        else:
            at[record.number] = record
    # No new trial shall have a number by which a folder is named already.
    end = 1 + max([*at, *folder_numbers(folder)], default=-1)
    lost = create_trial(state=State.FAIL, user_attrs={FAILURE: LOST})
    held = [at.get(number, lost) for number in range(len(trials), end)]
    wanted = [*held, *late]
    renumbered = 0
    for old, new in zip(wanted, study.restore(wanted), strict=True):
        if old is not lost and old.number != new.number:
            write_record(folder, new)
            renumbered += 1
    failed = len(held) - len(at)
    return PutBack(len(at) + len(late), renumbered, failed)
