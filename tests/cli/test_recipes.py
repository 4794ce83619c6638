import tomllib

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.config import Settings, recipe_names
from keras_rnnlm.recipe_files import expected_of


def test_the_list_has_a_line_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in named] == recipe_names()
    assert all(len(line.split(maxsplit=1)) == 2 for line in named)
    figures = [line.strip() for line in lines if line.startswith(" ")]
    known = [found for name in recipe_names() if (found := expected_of(name))]
    assert figures == [found.summary() for found in known]


@pytest.mark.parametrize("name", recipe_names())
def test_the_file_of_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes", name]) == 0
    values = tomllib.loads(capsys.readouterr().out)
    values.pop("expected", None)
    assert Settings.from_dict(values) == Settings.from_recipe(name)
