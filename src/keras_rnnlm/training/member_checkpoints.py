"""Checkpoints of several runs that are stepped together: one file, one step for all.

Each member's loop hands over the checkpoint of its own run; once all have, they are
written as one. So whenever a run is killed, all members go on from the same step.
"""

from pathlib import Path
from typing import Any

from keras_rnnlm.models.ensemble_folder import member_names
from keras_rnnlm.training.checkpoint_writer import CheckpointWriter
from keras_rnnlm.training.checkpoints import Checkpoint, read_checkpoint


class MembersWriter:
    """Gathers the checkpoints of all members and writes them together."""

    def __init__(self, folder: Path, members: int) -> None:
        """Create a writer into the folder of the ensemble."""
        logged = [folder / name for name in member_names(members)]
        self._writer = CheckpointWriter(folder, logged=logged)
        self._due = False
        self._latest: dict[int, Checkpoint] = {}
        self._fresh: set[int] = set()
        self.parts = [MemberWriter(self, member) for member in range(members)]

    @property
    def folder(self) -> Path:
        """The folder of the ensemble."""
        return self._writer.folder

    @property
    def last_step(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return self._writer.last_step

    def due(self) -> bool:
        """Return whether it was time for a checkpoint when the step began."""
        return self._due

    def resume(self, parts: list[Checkpoint]) -> None:
        """Go on from checkpoints: of members that had ended, theirs remains the last.

        Args:
            parts: Of all members, as from `read_parts`.
        """
        self._writer.last_step = max(part.meta["step"] for part in parts)
        for member, part in enumerate(parts):
            if part.meta["complete"]:
                self._latest[member] = part

    def begin_step(self) -> None:
        """Decide for all members whether a checkpoint is due in this step."""
        self._due = self._writer.due()

    def take(self, member: int, checkpoint: Checkpoint) -> None:
        """Take a member's checkpoint; a run that is over hands over its last one."""
        self._latest[member] = checkpoint
        self._fresh.add(member)

    def end_step(self, running: set[int]) -> None:
        """Write what was taken in this step, if all of `running` have handed over.

        Args:
            running: The members that were trained in this step.

        Raises:
            FolderError: An earlier write has failed.
        """
        if running and running <= self._fresh:
            parts = [self._latest[part.member] for part in self.parts]
            self._writer.submit(joined(parts, self._latest[min(running)].meta["step"]))
        for member in self._fresh:
            if not self._latest[member].meta["complete"]:
                del self._latest[member]
        self._fresh.clear()

    def close(self) -> None:
        """Wait for the last write; raises `FolderError` if it failed."""
        self._writer.close()


class MemberWriter:
    """What a member's loop has for a `CheckpointWriter`."""

    def __init__(self, writer: MembersWriter, member: int) -> None:
        """Hand over to `writer` what is the member's."""
        self._writer, self.member = writer, member

    @property
    def folder(self) -> Path:
        """The folder of the ensemble."""
        return self._writer.folder

    @property
    def last_step(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return self._writer.last_step

    def due(self) -> bool:
        """Return whether a checkpoint is due in this step."""
        return self._writer.due()

    def submit(self, checkpoint: Checkpoint) -> None:
        """Hand over the checkpoint of this step."""
        self._writer.take(self.member, checkpoint)

    def close(self) -> None:
        """Wait for the file that is being written, which is that of all members."""
        self._writer.close()


def joined(parts: list[Checkpoint], step: int) -> Checkpoint:
    """Join the checkpoints of all members, in their order."""
    return Checkpoint(
        _prefixed([part.arrays for part in parts]),
        _prefixed([part.best for part in parts]),
        {"step": step, "members": [part.meta for part in parts]},
    )


def read_parts(folder: Path, members: int) -> list[Checkpoint] | None:
    """Read the checkpoints of all members; None where there is no file of so many.

    Args:
        folder: Of the ensemble.
        members: How many there must be.
    """
    whole = read_checkpoint(folder)
    if whole is None or len(whole.meta.get("members", ())) != members:
        return None
    return [
        Checkpoint(_of(whole.arrays, member), _of(whole.best, member), meta)
        for member, meta in enumerate(whole.meta["members"])
    ]


def _prefixed(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        f"{member}.{name}": array
        for member, arrays in enumerate(parts)
        for name, array in arrays.items()
    }


def _of(arrays: dict[str, Any], member: int) -> dict[str, Any]:
    prefix = f"{member}."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
