"""Files that a command will write, looked at before its work."""

from pathlib import Path

from keras_rnnlm.errors import InputError


def check_file(option: str, path: str | None) -> None:
    """Raise `InputError` where there will be nowhere to write a file.

    Args:
        option: That names it.
        path: The file; None for none.
    """
    if path is None:
        return
    if Path(path).is_dir() or not Path(path).absolute().parent.is_dir():
        raise InputError(
            f"{option} expected the name of a file in a folder that exists, received "
            f"'{path}'."
        )
