"""The folder of a search, and what stands in its `tune.json`.

OUT/
├── tune.json       what is searched, on which text, where the trials are kept
├── clock.json      seconds spent, summed over resumes
├── corpus/         training and validation text as token ids
├── journal.jsonl   the study, unless --storage says elsewhere
├── trials/         a folder a trial
└── final/          model folders of the best, the default and other rivals
"""

import json
import secrets
from pathlib import Path
from typing import Any

from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import json_bytes, write_file
from keras_rnnlm.search.tune_plan import TunePlan

FORMAT = 1
NAME, CLOCK, JOURNAL, FINAL = "tune.json", "clock.json", "journal.jsonl", "final"


class TuneFolder:
    """What a folder knows of its search.

    Attributes:
        path: The folder.
        plan: What is searched; only where a search was begun.
    """

    plan: TunePlan

    def __init__(self, folder: Path) -> None:
        """Read `tune.json`, if it is there.

        Raises:
            FolderError: It is damaged.
        """
        self.path = folder
        self._facts: dict[str, Any] = {}
        path = folder / NAME
        if not path.is_file():
            return
        try:
            facts = json.loads(path.read_text("utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"format {facts['format']}, expected {FORMAT}")
            self.plan = TunePlan.from_dict(facts["plan"])
            self._facts = facts
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FolderError(
                f"'{path}' is damaged or of another version ({error}). Begin the "
                "search anew with another --out."
            ) from error

    @property
    def begun(self) -> bool:
        """Whether a search was begun here."""
        return bool(self._facts)

    @property
    def owner(self) -> str:
        """What says in a study that a trial belongs to this folder."""
        return str(self._facts["owner"])

    @property
    def storage(self) -> str:
        """Path of a journal, or URL of a database."""
        where = str(self._facts["storage"])
        return str(self.path / JOURNAL) if where == JOURNAL else where

    @property
    def shared(self) -> bool:
        """Whether other folders may have their trials in the same storage."""
        return str(self._facts["storage"]) != JOURNAL

    @property
    def study_name(self) -> str:
        """Name of the study in the storage."""
        return str(self._facts["study"])

    @property
    def data(self) -> dict[str, Any]:
        """What a report says of the text."""
        found: dict[str, Any] = self._facts["data"]
        return found

    def begin(
        self,
        plan: TunePlan,
        *,
        storage: str | None,
        study: str,
        data: dict[str, Any],
        environment: dict[str, Any],
        command: str,
    ) -> None:
        """Write `tune.json`.

        Args:
            plan: What is searched.
            storage: Path or URL; None for a journal in the folder.
            study: Name of the study.
            data: What a report says of the text.
            environment: Versions and machine.
            command: What was typed.
        """
        if storage is not None and "://" not in storage:
            storage = str(Path(storage).resolve())  # whoever goes on from elsewhere
        facts = {
            "format": FORMAT,
            "owner": secrets.token_hex(8),
            "storage": storage or JOURNAL,
            "study": study,
            "command": command,
            "plan": plan.to_dict(),
            "data": data,
            "environment": environment,
        }
        write_file(self.path / NAME, json_bytes(facts))
        (self.path / NAME).chmod(0o600)  # a URL may hold a password
        self._facts, self.plan = facts, plan

    @property
    def spent(self) -> float:
        """Seconds spent by those who worked here before."""
        try:
            content = json.loads((self.path / CLOCK).read_text("utf-8"))
            return float(content["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0

    @spent.setter
    def spent(self, seconds: float) -> None:
        write_file(self.path / CLOCK, json_bytes({"seconds": round(seconds, 2)}))
