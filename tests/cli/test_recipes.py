import tomllib

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.config import Settings, recipe_names


def test_the_list_has_a_line_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == recipe_names()
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


@pytest.mark.parametrize("name", recipe_names())
def test_the_file_of_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes", name]) == 0
    values = tomllib.loads(capsys.readouterr().out)
    assert Settings.from_dict(values) == Settings.from_recipe(name)
