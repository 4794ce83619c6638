"""The folder of an ensemble: model folders side by side, and `ensemble.json`.

Each member is an ordinary model folder, named `member-1`, `member-2` and so on. What
was searched for the evaluation of all together lies beside them, in the files that a
model folder has for that (`scoring.tuned`).
"""

import json
from pathlib import Path

from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import EVALUATION, json_bytes

FILE = "ensemble.json"
FORMAT = 1
MOST = 1000  # members


def member_names(members: int) -> list[str]:
    """Return the names of the members' folders."""
    return [f"member-{number}" for number in range(1, members + 1)]


def is_ensemble(folder: Path) -> bool:
    """Whether a folder is that of an ensemble, its training finished or not."""
    return (folder / FILE).is_file()


def is_tuned(folder: Path) -> bool:
    """Whether the folder of an ensemble has settings of all its models together."""
    return is_ensemble(folder) and (folder / EVALUATION).is_file()


def member_folders(folder: Path) -> list[Path]:
    """Return the model folders of an ensemble, in order.

    Raises:
        FolderError: `ensemble.json` is damaged, or of another version.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        members = int(found["members"])
        known = found["format"] == FORMAT and 1 <= members <= MOST
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
    ) as error:
        raise FolderError(
            f"'{path}' cannot be read as the list of an ensemble's members ({error}). "
            "Copy the folder again, or give one of its model folders."
        ) from error
    if not known:
        raise FolderError(
            f"'{path}' is not of format {FORMAT}, which this version reads. Give one "
            "of the model folders beside it."
        )
    return [folder / name for name in member_names(members)]


def ensemble_file(seeds: list[int]) -> bytes:
    """Return the content of `ensemble.json`.

    Args:
        seeds: Of each member.
    """
    content = {"format": FORMAT, "members": len(seeds), "seeds": seeds}
    return json_bytes(content)
