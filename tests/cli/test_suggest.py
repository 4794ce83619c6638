"""`rnnlm suggest`: what it prints and writes, and what it refuses."""

import json
import time
import tomllib

import numpy as np
import pytest

from keras_rnnlm.cli import suggested
from keras_rnnlm.cli.main import run
from keras_rnnlm.cli.suggested import minutes_to_suggest_for
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models import ensemble_folder
from keras_rnnlm.models.ensemble_folder import ensemble_file
from keras_rnnlm.search import suggest as suggest_module
from keras_rnnlm.training.checkpoints import Checkpoint, write_checkpoint
from keras_rnnlm.training.train import settings_of_run

LINES = [f"the {a} {b} the {c}" for a in "abcd" for b in "efgh" for c in "ijkl"] * 4


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return str(path)


def test_a_recipe_with_reasons(text, tmp_path, capsys):
    args = ["--minutes", "0.5", "--tokenizer", "char", "--set", "units=32"]
    assert run(["suggest", text, *args, "--range-test", "range.png"]) == 0
    printed = capsys.readouterr()
    assert "units = 32" in printed.out
    assert "Given, not chosen." in printed.out
    recipe = tmp_path / "runs" / "text-suggested.toml"
    assert f"--recipe runs/{recipe.name}" in printed.err
    values = tomllib.loads(recipe.read_text("utf-8"))
    assert (values["minutes"], values["units"]) == (0.5, 32)
    assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")


def test_json(text, capsys):
    args = ["--minutes", "0.5", "--set", "units=16", "--set", "precision=float32"]
    assert run(["suggest", text, *args, "--out", "a.toml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["units"] == 16
    assert found["passes"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "minutes=3"], "--minutes says"),
        (["--set", "network=transformer"], "rnnlm tune"),
        (["--set", "unit=3"], "units"),
        (["--out", "recipe.txt"], ".toml"),
        (["--set", "system_minutes=1"], "part of 'minutes'"),
        (["--range-test", "a.png", "--set", "learning_rate=1"], "Leave one of them"),
        (["--range-test", "no/a.png"], "a file in a folder that exists"),
        (["--range-test", "."], "--range-test expected the name of a file"),
        (["--valid", "-"], "standard input cannot be read again"),
        (["--test", "-"], "standard input cannot be read again"),
        (["--set", "clip_norm=inf"], "a finite number; received inf"),
    ],
)
def test_what_cannot_be_is_refused(text, capsys, arguments, words):
    assert run(["suggest", text, "--minutes", "1", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and "Measuring" not in said


@pytest.mark.slow
def test_a_model_is_trained_with_what_is_suggested(text, tmp_path, capsys):
    words = ["train", text, "--recipe", "suggest", "--minutes", "0.3", "--out", "model"]
    words += ["--tokenizer", "char", "--set", "layers=1", "--set", "precision=float32"]
    assert run([*words, "--json"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    settings = report["settings"]
    assert (settings["minutes"], settings["state_reset"]) == (0.3, 0.05)
    assert "Suggested (rnnlm suggest gives the reasons): optimizer=adam" in printed.err
    assert f"units={settings['units']}" in printed.err
    # What is gone on with has the settings that it was begun with.
    assert run([*words, "--resume"]) == 0
    said = capsys.readouterr().err
    assert "has finished" in said and "Measuring" not in said
    assert run([*words, "--resume", "--set", "units=7"]) == 2
    assert "asks for units=7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give it with --minutes"),
        (["--minutes", "1", "--set", "network=transformer"], "recurrent networks"),
        (["--minutes", "1", "--members", "2"], "for the time of one"),
    ],
)
def test_where_nothing_can_be_suggested(text, capsys, arguments, words):
    assert run(["train", text, "--recipe", "suggest", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_without_a_recipe_settings_are_suggested_from_three_minutes_on():
    limit, network = Settings(minutes=3.0), Settings(network="transformer", minutes=9.0)
    assert minutes_to_suggest_for(None, limit, None) == 3.0
    assert minutes_to_suggest_for(None, limit.replace(minutes=2.9), None) is None
    assert minutes_to_suggest_for(None, Settings(max_steps=9), None) is None
    assert minutes_to_suggest_for(None, network, None) is None
    assert minutes_to_suggest_for(None, limit, 2) is None
    assert minutes_to_suggest_for("word", limit, None) is None
    assert minutes_to_suggest_for("suggest", limit.replace(minutes=0.5), None) == 0.5


def test_what_is_not_there_is_shown_as_it_is_typed(text, capsys):
    args = ["--minutes", "0.5", "--tokenizer", "char", "--set", "units=32"]
    args += ["--set", "projection=none", "--set", "precision=float32"]
    assert run(["suggest", text, *args]) == 0
    shown = capsys.readouterr().out
    assert "projection = none" in shown
    assert "embedding = units" in shown


def test_where_it_is_too_late_to_measure_the_recipe_is_taken(monkeypatch):
    def measure(*_, **__):
        raise AssertionError("measured")

    corpus = Corpus.from_texts(["a line of text"] * 9, ["a line"], tokenizer="char")
    said = []
    monkeypatch.setattr(suggested, "started_at", lambda: time.monotonic() - 100)
    monkeypatch.setattr(suggest_module, "suggest", measure)
    fixed = {"minutes": 3.0, "units": 7}
    found = suggested.suggested_settings(corpus, 3.0, fixed, None, said.append, False)
    assert found == Settings.from_recipe("char", fixed)
    assert "took 1.7 of the 3 minutes" in said[0]
    assert "recipe char" in said[0]


@pytest.mark.slow
def test_a_model_is_trained_with_what_is_suggested_unasked(text, monkeypatch, capsys):
    begun = time.monotonic()  # and not that of the process of all tests
    monkeypatch.setattr(suggested, "ENOUGH", 0.2)
    monkeypatch.setattr(suggested, "started_at", lambda: begun)
    words = ["train", text, "--minutes", "0.3", "--tokenizer", "word", "--out", "model"]
    assert run([*words, "--set", "units=32", "--json"]) == 0
    printed = capsys.readouterr()
    settings = json.loads(printed.out)["settings"]
    assert (settings["units"], settings["learning_rate"]) == (32, 30.0)
    assert "Suggested (rnnlm suggest gives the reasons): optimizer=sgd" in printed.err
    assert "units=" not in printed.err


def test_a_run_that_was_stopped_keeps_its_settings(tmp_path):
    assert settings_of_run(tmp_path) is None
    settings = Settings(units=7)
    meta = {"identity": {"settings": settings.to_dict()}}
    arrays = {"model.0": np.zeros(1, np.float32)}
    write_checkpoint(tmp_path, Checkpoint(arrays, meta=meta))
    assert settings_of_run(tmp_path) == settings


def test_an_ensemble_is_not_gone_on_with_as_one_model(text, tmp_path, capsys):
    (tmp_path / "quartet").mkdir()
    record = ensemble_file([0, 1])
    (tmp_path / "quartet" / ensemble_folder.FILE).write_bytes(record)
    words = ["train", text, "--minutes", "9", "--out", "quartet", "--resume"]
    assert run(words) == 2
    said = capsys.readouterr().err
    assert "of several members" in said and "Measuring" not in said


def test_a_number_of_samples_says_which_output(text, monkeypatch, capsys):
    def find(*_, fixed, **__):
        raise ConfigError(f"Fixed: {sorted(fixed.items())}")

    monkeypatch.setattr(suggest_module, "suggest", find)
    words = ["suggest", text, "--minutes", "1", "--set", "output_samples=300"]
    assert run(words) == 2
    wanted = "[('output', 'sampled'), ('output_samples', 300)]"
    assert wanted in capsys.readouterr().err
    assert run([*words, "--set", "output=full"]) == 2
    assert "goes with output=sampled; received output=full" in capsys.readouterr().err


def test_an_existing_recipe_stays(text, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text("units = 1\n", encoding="utf-8")
    assert run(["suggest", text, "--minutes", "1", "--out", "mine.toml"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "mine.toml").read_text("utf-8") == "units = 1\n"
