"""The names of cells: the package's, registered ones, those of installed packages."""

import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import keras_rnnlm
from keras_rnnlm import cell_registry
from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cell_registry, "_registered", {})
    yield


def some_cell() -> Any:
    from keras_rnnlm.layers.cells.mgu import MinimalGatedUnit

    @dataclass(frozen=True)
    class SomeCell(MinimalGatedUnit):
        depth: int = 1

    return SomeCell


def test_a_registered_cell_is_known_everywhere() -> None:
    cell = keras_rnnlm.register_cell("some_cell")(some_cell())
    assert cell_registry.find("some_cell") is cell
    assert cell_registry.name_of(cell) == "some_cell"
    assert cell_registry.names()[-1] == "some_cell"
    assert Settings(cell="some_cell", cell_arguments={"depth": 3}).cell == "some_cell"
    model = keras_rnnlm.RNNLM(
        7, "some_cell", units=4, layers=1, cell_arguments={"depth": 2}
    )
    assert model.recurrent[0].cell == cell(depth=2)
    again = keras_rnnlm.RNNLM.from_config(model.get_config())
    assert again.recurrent[0].cell == cell(depth=2)


def test_a_file_run_twice_replaces_its_cell_but_no_other() -> None:
    keras_rnnlm.register_cell("some_cell", some_cell())
    newer = some_cell()
    assert keras_rnnlm.register_cell("some_cell", newer) is newer
    assert cell_registry.find("some_cell") is newer

    @dataclass(frozen=True)
    class Other:
        pass

    with pytest.raises(ConfigError, match="already belongs to the cell .*SomeCell"):
        keras_rnnlm.register_cell("some_cell", Other)
    with pytest.raises(ConfigError, match="already belongs to .*recurrent:LSTM"):
        keras_rnnlm.register_cell("lstm", Other)


@pytest.mark.parametrize(
    ("name", "cell", "says"),
    [
        ("My Cell", object, "a lower-case name such as 'my_cell'"),
        ("my_cell", object, "to be a frozen dataclass"),
        ("my_cell", 3, "to be a frozen dataclass, received 3"),
        ("my_cell", dataclasses.make_dataclass("Open", []), "to be a frozen dataclass"),
    ],
)
def test_refuses_what_is_no_cell(name: str, cell: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        keras_rnnlm.register_cell(name, cell)


def test_cells_of_installed_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("theirs", "keras_rnnlm.layers.cells.mgu:MinimalGatedUnit", "g"),
        EntryPoint("gone", "no_such_package.cells:Gone", "g"),
    ]
    monkeypatch.setattr(cell_registry, "entry_points", lambda group: points)
    assert {"theirs", "gone"} <= set(cell_registry.names())
    assert cell_registry.find("theirs").__name__ == "MinimalGatedUnit"
    assert Settings(cell="theirs").cell == "theirs"
    with pytest.raises(ConfigError, match="'no_such_package.cells:Gone', which cannot"):
        cell_registry.find("gone")


def test_settings_of_a_cell_are_checked_with_those_of_a_run() -> None:
    settings = Settings.from_recipe(
        None,
        ["cell=mogrifier_lstm", "cell_arguments.rounds=4", "cell_arguments.rank=8"],
    )
    assert settings.cell_arguments == {"rounds": 4, "rank": 8}
    assert Settings.from_dict(settings.to_dict()) == settings
    table = Settings.from_recipe(None, ["cell=qrnn", 'cell_arguments={pooling="ifo"}'])
    assert table.cell_arguments == {"pooling": "ifo"}
    for sets, says in (
        (["cell=mogrifier_lstm", "cell_arguments.round=4"], "Did you mean 'rounds'"),
        (["cell=qrnn", "cell_arguments.pooling=f"], "takes one of fo, ifo"),
        (["cell=lstm", "cell_arguments.rounds=4"], "has no setting 'rounds'"),
        (["cell_arguments=4"], "a table such as {rounds = 4}"),
        (["cell=mogrifier"], "Did you mean 'mogrifier_lstm'"),
    ):
        with pytest.raises(ConfigError) as caught:
            Settings.from_recipe(None, sets)
        assert says in str(caught.value)


def test_names_cost_no_keras() -> None:
    import subprocess

    script = (
        "import sys; from keras_rnnlm.config import Settings; "
        "Settings(cell='mlstm'); print('keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
