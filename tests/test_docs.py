"""What the documentation says of cells, settings and options is what they are."""

import dataclasses
import re
import tomllib
from collections.abc import Iterator

import click
import pytest

from keras_rnnlm import Settings, cell_registry
from keras_rnnlm.cli.main import rnnlm
from keras_rnnlm.layers.make import parameters, state_size
from tests.conftest import CHECKOUT

PAGE = (CHECKOUT / "docs" / "cells.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for line in PAGE.splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split("|")])
    and len(cells) == 7
    and cells[0].startswith("`")
}


def test_every_cell_has_its_rows() -> None:
    assert set(ROWS) == set(cell_registry.BUILT_IN)
    equations = PAGE.split("## The equations")[1].split("## What runs")[0]
    named = set(re.findall(r"^\| `(\w+)`", equations, re.M))
    assert named == set(cell_registry.BUILT_IN)


@pytest.mark.parametrize("name", cell_registry.BUILT_IN)
def test_formulas_give_the_numbers(name: str) -> None:
    for inputs, units in ((12, 8), (8, 8)):
        known = {"D": inputs, "H": units, "__builtins__": {}}
        state, weights = (eval(ROWS[name][k].strip("`"), known) for k in (2, 3))
        assert state == state_size(name, None, inputs, units)
        assert weights == parameters(name, None, inputs, units)


SETTINGS = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
FIELDS = {field.name: field.default for field in dataclasses.fields(Settings)}


def documented() -> Iterator[tuple[str, str]]:
    """Give each setting that has a row, and its default as it is written there."""
    for line in SETTINGS.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`(\w+)`", cells[0])
        if len(cells) < 2 or not line.startswith("| `"):
            continue
        defaults = cells[1].split(", ")
        if len(defaults) == 1:
            defaults *= len(names)
        yield from zip(names, defaults, strict=True)


def test_every_setting_is_documented() -> None:
    assert set(FIELDS) <= set(re.findall(r"`(\w+)`", SETTINGS))
    assert {name for name, _ in documented()} <= set(FIELDS)


def test_defaults_are_those_of_the_code() -> None:
    for name, written in documented():
        default = FIELDS[name]
        if isinstance(default, str):
            assert written.strip("`") == default, name
        elif default is not None:  # there the page says what stands in its place
            assert tomllib.loads(f"value = {written}")["value"] == default, name


def commands(of: click.Group, names: tuple[str, ...] = ()) -> Iterator[str]:
    """Give "verb --option" for all options of all verbs, those of groups too."""
    for name, command in of.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield " ".join((*names, name, parameter.opts[0]))


def test_every_option_is_documented() -> None:
    pages = [CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    written = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", text))
    missing = {verb for verb in commands(rnnlm) if verb.split()[-1] not in written}
    assert not missing
