"""What the documentation says of cells is what they are."""

import re

import pytest

from keras_rnnlm import cell_registry
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
