"""What is written of a run as it goes on, and what is said where that fails."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.errors import FolderError, ResumeError
from keras_rnnlm.files import CHECKPOINT
from keras_rnnlm.models.ensemble_folder import member_names
from keras_rnnlm.training import checkpoint_writer, checkpoints
from keras_rnnlm.training.checkpoint_writer import CheckpointWriter
from keras_rnnlm.training.checkpoints import (
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from keras_rnnlm.training.member_checkpoints import MembersWriter
from keras_rnnlm.training.run_folder import LOG, RunFolder


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint({"model.0": np.full(3, float(step))}, {}, {"step": step})


@pytest.mark.once
def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(7))
    (tmp_path / f".{CHECKPOINT}.4711.partial").write_bytes(b"half of")
    CheckpointWriter(tmp_path, last_step=7)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    found = read_checkpoint(tmp_path)
    assert found is not None and found.meta["step"] == 7


@pytest.mark.once
@pytest.mark.parametrize(
    ("last_step", "wanted"),
    [(None, "there is no checkpoint yet"), (7, "the checkpoint before this one is")],
)
def test_a_full_disk_says_what_there_is_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_step: int | None, wanted: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", full)
    writer = CheckpointWriter(tmp_path, last_step)
    writer.submit(checkpoint(8))
    with pytest.raises(FolderError, match=f"No space left on device.*{wanted}"):
        writer.close()
    assert writer.last_step == last_step


@pytest.mark.once
def test_the_checkpoint_of_another_version_is_not_trained_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_FORMAT", 2)
        write_checkpoint(tmp_path, checkpoint(7))
    with pytest.raises(ResumeError, match="of format 2, this version reads format"):
        read_checkpoint(tmp_path)


@pytest.mark.once
@pytest.mark.parametrize("members", [0, 2])
def test_logs_are_on_the_disk_before_the_checkpoint_that_names_their_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: int
) -> None:
    names = member_names(members) or ["."]
    for name in names:
        run = RunFolder(tmp_path / name, resume=True)
        run.log({"event": "train", "step": 1})
        run.close()
    synced: list[int] = []
    sync = os.fsync

    def watched(number: int) -> None:
        synced.append(os.fstat(number).st_ino)
        sync(number)

    monkeypatch.setattr(os, "fsync", watched)
    if members:
        together = MembersWriter(tmp_path, members)
        arrays = checkpoint(1).arrays
        for part in together.parts:
            part.submit(Checkpoint(arrays, {}, {"step": 1, "complete": False}))
        together.end_step(set(range(members)))
        together.close()
    else:
        writer = CheckpointWriter(tmp_path)
        writer.submit(checkpoint(1))
        writer.close()
    files = [*(tmp_path / name / LOG for name in names), tmp_path / CHECKPOINT]
    assert synced == [path.stat().st_ino for path in files]


@pytest.mark.once
@pytest.mark.parametrize("content", [b"", b"no tensors", b"half"])
def test_a_damaged_checkpoint_is_not_trained_over(
    tmp_path: Path, content: bytes
) -> None:
    write_checkpoint(tmp_path, checkpoint(7))
    path = tmp_path / CHECKPOINT
    content = path.read_bytes()[:-5] if content == b"half" else content
    path.write_bytes(content)
    with pytest.raises(ResumeError, match="cannot be read .*move it out"):
        read_checkpoint(tmp_path)
    assert path.read_bytes() == content


@pytest.mark.once
def test_a_picture_that_cannot_be_drawn_is_a_note(tmp_path: Path) -> None:
    run, notes = RunFolder(tmp_path, resume=True), []
    run.log({"event": "train", "tokens": "many", "loss": 1.0, "learning_rate": 0.1})
    run.draw(notes.append)
    run.close()
    assert len(notes) == 1 and "There is no curve.png" in notes[0]
