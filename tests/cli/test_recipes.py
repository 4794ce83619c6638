import dataclasses
import tomllib

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.config import Settings, recipe_names
from keras_rnnlm.recipe_files import Expected, expected_of


def test_the_list_has_a_line_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in named] == recipe_names()
    assert all(len(line.split(maxsplit=1)) == 2 for line in named)
    figures = [line.strip() for line in lines if line.startswith(" ")]
    known = [found for name in recipe_names() if (found := expected_of(name))]
    assert figures == [found.summary() for found in known]


def test_figures_of_characters_are_in_bits_too() -> None:
    two = Expected(
        text="",
        corpus="",
        command="",
        machine="",
        date="",
        seconds=60,
        seeds=(0, 1),
        measure="test perplexity per character",
        test=(4.0, 8.0),
        system=(2.0, 2.0),
    )
    assert two.summary() == (
        "test perplexity per character 6.0000 ± 2.8284 (2.500 bits), "
        "2.0000 ± 0.0000 (1.000 bits) with all that evaluation adds; 60 s"
    )
    words = dataclasses.replace(two, measure="test perplexity per word")
    assert "bits" not in words.summary()


@pytest.mark.parametrize("name", recipe_names())
def test_the_file_of_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes", name]) == 0
    values = tomllib.loads(capsys.readouterr().out)
    values.pop("expected", None)
    assert Settings.from_dict(values) == Settings.from_recipe(name)
