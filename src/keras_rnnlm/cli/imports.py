"""The option `--import FILE`: a cell of one's own, from a file named on the spot."""

from pathlib import Path
from typing import Any

import click

from keras_rnnlm.own_code import import_file


def import_option(command: Any) -> Any:
    """Add `--import FILE`, which may be repeated, to a command."""
    return click.option(
        "--import",
        "imports",
        multiple=True,
        metavar="FILE",
        type=click.Path(),
        expose_value=False,
        # Before all other options: a setting may name the cell.
        is_eager=True,
        callback=_import_all,
        help="Run a Python file that registers a cell of your own; may be repeated.",
    )(command)


def _import_all(_context: Any, _option: Any, files: tuple[str, ...]) -> None:
    for file in files:
        import_file(Path(file))
