"""Recipes with figures: the command they name runs, and a short run of it ends well.

The whole runs take minutes to an hour each; a shortened one of the same settings, seed
and text is a matter of seconds, and its validation perplexity is known as well.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.recipe_files import expected_of, recipe_names
from tests.conftest import needs_data, only_on

KNOWN = {name: found for name in recipe_names() if (found := expected_of(name))}


@pytest.mark.parametrize("name", KNOWN)
def test_the_table_is_whole(name: str) -> None:
    expected = KNOWN[name]
    assert len(expected.test) == len(expected.seeds) > 0
    for figures in (expected.valid, expected.system):
        assert len(figures) in (0, len(expected.seeds))
    words = shlex.split(expected.command)
    assert words[:2] == ["rnnlm", "train"]
    assert words[words.index("--recipe") + 1] == name
    minutes = Settings.from_recipe(name).minutes
    assert minutes is None or expected.seconds <= 60 * minutes + 5


@pytest.mark.parametrize("name", [n for n, known in KNOWN.items() if known.short])
def test_a_shortened_run_ends_where_the_recipe_says(name: str, tmp_path: Path) -> None:
    only_on("jax")
    expected = KNOWN[name]
    assert expected.short is not None
    folder = needs_data(expected.corpus)
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    # The other tests trade the speed of programs for that of compiling.
    environment.pop("JAX_DISABLE_MOST_OPTIMIZATIONS", None)
    command = shlex.split(expected.command)[1:]
    if "--test" in command:  # what is known is of the validation text
        place = command.index("--test")
        del command[place : place + 2]
    if Settings.from_recipe(name).protocol in (None, "carry"):
        # A single stream takes longer to read than these steps.
        command += ["--set", "protocol=lanes:64"]
    shortened = [
        *("--set", f"max_steps={int(expected.short['max_steps'])}"),
        *("--set", "minutes=none", "--set", "system_minutes=0"),
        *("--out", str(tmp_path / "model"), "--json"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "keras_rnnlm", *command, *shortened],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["valid"]["perplexity"]
    tolerance = expected.short["tolerance"]
    assert found == pytest.approx(expected.short["valid"], rel=tolerance)
