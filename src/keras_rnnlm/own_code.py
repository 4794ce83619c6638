"""A user's own Python file, run as a module named after it: for cells of their own."""

import importlib.util
import sys
from pathlib import Path

from keras_rnnlm.errors import InputError

_imported: list[Path] = []


def import_file(path: Path) -> None:
    """Run a Python file as a module named after it.

    Raises:
        InputError: The file does not exist, is no Python file, or fails.
    """
    if path.suffix != ".py" or not path.is_file():
        raise InputError(
            f"--import expected a Python file, received '{path}'"
            f"{'' if path.exists() else ', which does not exist'}."
        )
    # As it stands in tracebacks.
    path = path.resolve()
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if name in sys.modules or spec is None or spec.loader is None:
        known = getattr(sys.modules.get(name), "__file__", None)
        if known is not None and Path(known).resolve() == path:
            return
        raise InputError(
            f"--import '{path}': a module '{name}' is loaded already. Give the file "
            "another name."
        )
    module = importlib.util.module_from_spec(spec)
    # Known by its name while it runs, as dataclasses and pickles expect it.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = _line_of(error, path)
        raise InputError(
            f"--import '{path.name}' failed{line}: {type(error).__name__}: {error}"
        ) from error
    _imported.append(path)


def imported_files() -> tuple[Path, ...]:
    """Return the files that this process has run, for processes that it starts."""
    return tuple(_imported)


def _line_of(error: BaseException, path: Path) -> str:
    """Where in the file it went wrong: ` at line N`."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f" at line {error.lineno}"
    line, at = None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == str(path):
            line = at.tb_lineno
        at = at.tb_next
    return "" if line is None else f" at line {line}"
