"""The names of the recurrent cells: one list for settings, models and model folders.

A name leads to a class, which is imported when it is first used: looking a name up
costs no Keras. Names come from three places: the package itself, `register_cell`, and
the entry points of installed packages in the group `keras_rnnlm.cells`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar, overload

from keras_rnnlm.errors import ConfigError, nearest

GROUP = "keras_rnnlm.cells"

_CELLS = "keras_rnnlm.layers.cells."
BUILT_IN: Mapping[str, str] = {
    "simple_rnn": "keras_rnnlm.layers.recurrent:SimpleRNN",
    "lstm": "keras_rnnlm.layers.recurrent:LSTM",
    "gru": "keras_rnnlm.layers.recurrent:GRU",
    "coupled_lstm": _CELLS + "coupled_lstm:CoupledLSTM",
    "peephole_lstm": _CELLS + "peephole_lstm:PeepholeLSTM",
    "layer_norm_lstm": _CELLS + "layer_norm_lstm:LayerNormLSTM",
    "mgu": _CELLS + "mgu:MinimalGatedUnit",
    "mogrifier_lstm": _CELLS + "mogrifier_lstm:MogrifierLSTM",
    "rlstm": _CELLS + "rlstm:RLSTM",
    "qrnn": _CELLS + "qrnn:QRNN",
    "sru": _CELLS + "sru:SRU",
    "min_gru": _CELLS + "min_gru:MinGRU",
    "min_lstm": _CELLS + "min_lstm:MinLSTM",
    "slstm": _CELLS + "slstm:SLSTM",
    "mlstm": _CELLS + "mlstm:MLSTM",
    "rg_lru": _CELLS + "rg_lru:RGLRU",
    "lru": _CELLS + "lru:LRU",
}
"""Cells of the package, name to `module:class`; the first three are Keras layers."""

Class = TypeVar("Class", bound=type)

_registered: dict[str, type] = {}


@overload
def register_cell(name: str) -> Callable[[Class], Class]: ...
@overload
def register_cell(name: str, cell: Class) -> Class: ...
def register_cell(name: str, cell: Any = None) -> Any:
    """Give a cell a name by which recipes, `RNNLM` and model folders know it.

    Args:
        name: A lower-case name, such as `my_cell`.
        cell: The class, a frozen dataclass derived from `keras_rnnlm.layers.Cell`;
            without it a decorator is returned.

    Returns:
        The class, or a decorator that returns it.

    Raises:
        ConfigError: The name is taken by another class, or the class is no such
            dataclass.

    Example:
        >>> @register_cell("my_cell")
        ... @dataclasses.dataclass(frozen=True)
        ... class MyCell(keras_rnnlm.layers.Cell): ...
    """
    if cell is None:
        return lambda cell: register_cell(name, cell)
    if not name.isidentifier() or name != name.lower():
        raise ConfigError(
            f"Expected a lower-case name such as 'my_cell', received {name!r}."
        )
    how = getattr(cell, "__dataclass_params__", None)  # those of @dataclass
    if not isinstance(cell, type) or how is None or not how.frozen:
        raise ConfigError(
            f"Expected a cell to be a frozen dataclass, received {cell!r}. Put "
            "@dataclass(frozen=True) above the class and below @register_cell."
        )
    known = _registered.get(name)
    if name in BUILT_IN or (known is not None and not _same(known, cell)):
        raise ConfigError(
            f"The name '{name}' already belongs to the cell "
            f"{BUILT_IN.get(name) or _home(known)}. Choose another name."
        )
    _registered[name] = cell
    return cell


def names() -> tuple[str, ...]:
    """All known names: the package's own, then those of others in order of name."""
    others = {*_registered, *(point.name for point in entry_points(group=GROUP))}
    return (*BUILT_IN, *sorted(others - set(BUILT_IN)))


def check_name(name: str) -> None:
    """Raise `ConfigError`, offering the nearest name, unless `name` is known."""
    # Entry points are looked at last: reading those of all packages takes a while.
    if name not in BUILT_IN and name not in _registered and name not in names():
        raise ConfigError(
            f"Setting 'cell' takes one of {', '.join(names())}; received "
            f"'{name}'.{nearest(name, names())} A cell of your own is registered with "
            "--import FILE on the command line, or keras_rnnlm.register_cell in Python."
        )


def find(name: str) -> type:
    """Return the class of a cell.

    Raises:
        ConfigError: No cell has that name, or the package that has it cannot be
            imported.
    """
    check_name(name)
    if name in _registered:
        return _registered[name]
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found: type = getattr(import_module(module), attribute)
        return found
    (point, *_) = (p for p in entry_points(group=GROUP) if p.name == name)
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"The cell '{name}' is announced by an installed package at "
            f"'{point.value}', which cannot be imported ({error}). Install it again."
        ) from error
    registered: type = register_cell(name, loaded)
    return registered


def name_of(cell: type) -> str | None:
    """Return the name of a class, None if it has none."""
    for name, known in _registered.items():
        if known is cell:
            return name
    home = f"{cell.__module__}:{cell.__qualname__}"
    return next((name for name, value in BUILT_IN.items() if value == home), None)


def settings(cell: Any) -> dict[str, Any]:
    """Return the settings that a cell's class has by name, with their defaults."""
    if not dataclasses.is_dataclass(cell):  # one of Keras's three
        return dict(cell.cell_settings)
    fields = [field for field in dataclasses.fields(cell) if field.init]
    return {field.name: field.default for field in fields}


def make(name: str, arguments: Mapping[str, Any] | None) -> Any:
    """Return a cell built with its settings.

    Of a drop-in Keras layer it is the class as it is, whose arguments the settings are.

    Raises:
        ConfigError: Unknown cell, a setting it does not have, or a value it refuses.
    """
    cell, given = find(name), dict(arguments or {})
    taken = list(settings(cell))
    for key in given:
        if key not in taken:
            has = f"It has {', '.join(taken)}." if taken else "It has none."
            raise ConfigError(
                f"The cell '{name}' has no setting '{key}'.{nearest(key, taken)} {has}"
            )
    if not dataclasses.is_dataclass(cell):
        for key, value in given.items():
            if not isinstance(value, bool):
                raise ConfigError(
                    f"Setting '{key}' of the cell {name} takes true or false; "
                    f"received {value!r}."
                )
        return cell
    try:
        return cell(**given)
    except TypeError as error:
        raise ConfigError(
            f"The cell '{name}' cannot be built with {given}: {error}."
        ) from error


def _same(known: type, cell: type) -> bool:
    """Whether a file that is run again defines the same class again."""
    return known is cell or _home(known) == _home(cell)


def _home(cell: type | None) -> str:
    return "" if cell is None else f"{cell.__module__}:{cell.__qualname__}"
