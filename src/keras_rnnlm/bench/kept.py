"""Logs and reports of the runs that a script trains and then throws away."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from keras_rnnlm.errors import InputError
from keras_rnnlm.training.run_folder import LOG, REPORT

_FILES = (LOG, REPORT)
_LONGEST = 180  # bytes of a folder's name; file systems end at 255


class Kept:
    """A folder that has a folder for each run, with its log and report, no weights.

    FOLDER/adam-at-0.01/report.json
    FOLDER/adam-at-0.01/training.jsonl
    """

    def __init__(self, folder: Path | None, names: Iterable[str]) -> None:
        """Settle where runs will be kept, before any of them is trained.

        Args:
            folder: Where to; None keeps nothing.
            names: Of all runs that there will be.

        Raises:
            InputError: A name has no letter or digit, or two have the same ones.
        """
        self.folder = folder
        if folder is None:
            return
        owners: dict[str, str] = {}
        for name in names:
            other = owners.setdefault(slug(name), name)
            if other != name:
                raise InputError(
                    f"'{other}' and '{name}' would both be kept in '{slug(name)}'. "
                    "Expected names that differ in more than their case and "
                    "punctuation: rename one."
                )

    def keep(self, name: str, run: Path) -> None:
        """Copy log and report of a run, and of its members where it has any.

        What was kept of an earlier run of this name is replaced. A run that could not
        go on has no report. Where the report names the run's folder, as its command
        does, it has the folder's name alone: where that was is of no use to anyone.

        Args:
            name: Of the run; one of those that were given.
            run: Its folder.

        Raises:
            OSError: The files cannot be copied.
        """
        if self.folder is None:
            return
        own = self.folder / slug(name)
        for path in _files(own):
            path.unlink()
        for path in _files(run):
            to = own / path.relative_to(run)
            to.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8")
            own_path = json.dumps(str(run), ensure_ascii=False)[1:-1]
            to.write_text(text.replace(own_path, run.name), encoding="utf-8")


def slug(name: str) -> str:
    """Return the name of a run as that of a folder.

    In lower case, with letters and digits of any script, `_`, `.` and `=`; what stands
    between them is a hyphen. A long one ends with a hash of all of it.

    Raises:
        InputError: The name has no letter or digit.
    """
    short = re.sub(r"[^\w.=]+", "-", name.lower()).strip("-.")
    if not re.search(r"[^\W_]", short):
        raise InputError(
            f"Expected a name with letters or digits to keep a run under, received "
            f"'{name}'."
        )
    content = short.encode()
    if len(content) <= _LONGEST:
        return short
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{content[:_LONGEST].decode(errors='ignore')}-{digest}"


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.name in _FILES]
