import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.cli.process import started_at
from keras_rnnlm.cli.train import free_path
from keras_rnnlm.config import Settings
from keras_rnnlm.errors import InputError
from keras_rnnlm.training import train as training
from keras_rnnlm.training.model_card import model_card
from keras_rnnlm.training.origin import origin_lines
from tests.cli.conftest import QUICK
from tests.training.test_identity import NEW

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks of `train`, which does nothing but stop."""
    found: dict[str, Any] = {}

    def instead(corpus: Any, settings: Any, out: Any, **rest: Any) -> None:
        found.update(corpus=corpus, settings=settings, out=out, **rest)
        raise InputError("stopped here")

    monkeypatch.setattr(training, "train", instead)
    return found


def settings_of(asked: dict[str, Any], text: Path, *options: str) -> Settings:
    assert run(["train", str(text), *options]) == 2
    settings = asked["settings"]
    assert isinstance(settings, Settings)
    return settings


def test_what_beats_what(
    asked: dict[str, Any],
    english_file: Path,
    inside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = inside / "mine.toml"
    recipe.write_text("seed = 1\nminutes = 1.0\nunits = 64\n")
    from_recipe = ["--recipe", str(recipe)]
    assert settings_of(asked, english_file, *from_recipe).seed == 1
    monkeypatch.setenv("RNNLM_SEED", "2")
    monkeypatch.setenv("RNNLM_MINUTES", "1.5")
    found = settings_of(asked, english_file, *from_recipe)
    assert (found.seed, found.minutes, found.units) == (2, 1.5, 64)
    found = settings_of(asked, english_file, *from_recipe, "--set", "seed=3")
    assert (found.seed, found.minutes) == (3, 1.5)
    options = ["--set", "seed=3", "--seed", "4", "--minutes", "0.5"]
    found = settings_of(asked, english_file, *from_recipe, *options)
    assert (found.seed, found.minutes) == (4, 0.5)
    assert settings_of(asked, english_file, "--tokenizer", "char") == (
        Settings.from_recipe("char", {"seed": 2, "minutes": 1.5})
    )
    monkeypatch.setenv("RNNLM_RECIPE", "demo")
    assert settings_of(asked, english_file).units == Settings.from_recipe("demo").units


@pytest.mark.parametrize("budget", ["max_steps", "epochs"])
def test_a_budget_that_is_typed_beats_the_minutes_of_a_variable(
    asked: dict[str, Any],
    english_file: Path,
    inside: Path,
    monkeypatch: pytest.MonkeyPatch,
    budget: str,
) -> None:
    monkeypatch.setenv("RNNLM_MINUTES", "1.5")
    words = ["--recipe", "demo", "--set", f"{budget}=9"]
    found = settings_of(asked, english_file, *words)
    assert found.minutes is None and getattr(found, budget) == 9
    assert settings_of(asked, english_file, *words[:2]).minutes == 1.5


def test_the_folder_if_none_is_named(
    asked: dict[str, Any], english_file: Path, inside: Path
) -> None:
    settings_of(asked, english_file)
    assert asked["out"] == Path("runs/english")
    Path("runs/english").mkdir(parents=True)
    settings_of(asked, english_file)
    assert asked["out"] == Path("runs/english-2")


def test_free_path(tmp_path: Path) -> None:
    assert free_path(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free_path(tmp_path / "a") == tmp_path / "a-3"


def test_texts_and_splits(
    asked: dict[str, Any], english_file: Path, english_text: str, inside: Path
) -> None:
    options = ["--split", "0.8,0.2", "--tokenizer", "char"]
    settings_of(asked, english_file, *options)
    corpus = asked["corpus"]
    assert corpus.train.counts.characters == int(0.8 * len(english_text))
    assert corpus.test is None
    options = ["--valid", str(english_file), "--test", str(english_file)]
    settings_of(asked, english_file, *options, "--vocabulary-size", "20")
    corpus = asked["corpus"]
    assert corpus.vocabulary_size == 20
    assert corpus.test.counts.characters == len(english_text)


def test_a_vocabulary_file(
    asked: dict[str, Any], english_file: Path, inside: Path
) -> None:
    Path("words.txt").write_text("the\nlamp\nship\n")
    settings_of(asked, english_file, "--vocabulary", "words.txt")
    assert {"the", "lamp", "ship"} <= set(asked["corpus"].tokenizer.tokens)
    assert asked["corpus"].vocabulary_size <= 5


def test_word_vectors_are_for_words(
    asked: dict[str, Any], english_file: Path, chinese_file: Path, inside: Path
) -> None:
    vectors = ["--set", "vectors=some.vec"]
    cases: list[tuple[Path, list[str], str]] = [
        (english_file, [], "char"),
        (english_file, vectors, "word"),
        (english_file, ["--recipe", "little-data", *vectors], "word"),
        (english_file, ["--tokenizer", "char", *vectors], "char"),
        (chinese_file, vectors, "char"),
    ]
    for text, options, kind in cases:
        settings_of(asked, text, *options)
        assert asked["corpus"].tokenizer.kind == kind
    settings_of(asked, english_file, *vectors)
    assert asked["corpus"].notes[0].startswith("Words, because word vectors are given")


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        *((verb, "--set vectors=some.vec") for verb in ("suggest", "tune", "compare")),
        *((verb, "--recipe own.toml") for verb in ("tune", "compare")),
    ],
)
def test_word_vectors_are_for_words_wherever_texts_are_read(
    verb: str,
    words: str,
    english_file: Path,
    inside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("own.toml").write_text("vectors = 'some.vec'\n")
    asked: list[bool] = []

    def read(options: Any, split: Any, seed: int, vectors: bool = False) -> None:
        asked.append(vectors)
        raise InputError("That is enough.")

    monkeypatch.setattr(import_module(f"keras_rnnlm.cli.{verb}"), "read_corpus", read)
    for options in (words.split(), []):
        assert run([verb, str(english_file), "--minutes", "60", *options]) == 2
    assert asked == [True, False]


def test_the_clock_starts_with_the_process(
    asked: dict[str, Any], english_file: Path, inside: Path
) -> None:
    settings_of(asked, english_file)
    assert asked["started"] == pytest.approx(started_at(), abs=1)
    assert 0 < time.monotonic() - asked["started"] < 3600


def test_a_report_is_told_what_was_typed(
    asked: dict[str, Any], english_file: Path, inside: Path
) -> None:
    words = [str(english_file), "--out", "a b", "--set", "units=24"]
    settings_of(asked, english_file, *words[1:])
    assert asked["command"] == ["rnnlm", "train", *words]
    settings_of(asked, english_file, "--out", "caf\udce9")  # a byte that is no UTF-8
    assert asked["command"][-1] == "caf\\udce9"


def test_a_report_and_a_card_say_how_the_model_was_made(
    english_model: Path, english_file: Path
) -> None:
    report = json.loads((english_model / "report.json").read_text("utf-8"))
    words = ["rnnlm", "train", str(english_file), "--out", str(english_model)]
    assert report["command"][: len(words)] == words
    assert set(NEW) <= set(report["environment"])
    assert "command" not in report["identity"]
    card = (english_model / "README.md").read_text("utf-8")
    assert f"Command: `{shlex.join(report['command'])}`" in card
    assert f"Machine: {report['environment']['machine']}; " in card


def test_a_folder_of_an_older_version_is_as_good_as_ever(
    english_model: Path, english_file: Path, inside: Path, capsys: Captured
) -> None:
    shutil.copytree(english_model, "old")
    report = json.loads(Path("old/report.json").read_text("utf-8"))
    del report["command"]
    for name in NEW:
        del report["environment"][name]
    Path("old/report.json").write_text(json.dumps(report), "utf-8")
    assert run(["info", "old"]) == 0
    assert "test perplexity" in capsys.readouterr().out
    assert run(["plot", "old"]) == 0
    train = ["train", str(english_file), "--out", "old", "--tokenizer", "word", *QUICK]
    capsys.readouterr()
    assert run([*train, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    settings, schedule = training.schedule_of(report)
    assert settings.max_steps == schedule["steps"] == 60
    assert origin_lines(report) == []
    assert "Command: " not in model_card(report)


def test_a_model_folder(english_model: Path) -> None:
    for name in (
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "manifest.json",
        "report.json",
        "training.jsonl",
        "README.md",
        "curve.png",
    ):
        assert (english_model / name).stat().st_size, name


def test_a_report_in_json_and_a_run_that_has_finished(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    train = ["train", str(english_file), "--out", "model", "--json", *QUICK]
    train += ["--set=max_steps=10", "--set=validations=1"]
    assert run(train) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report == json.loads(Path("model/report.json").read_text())
    assert report["test"]["tokens"] > 0
    assert "test perplexity" in err
    assert "cpu" in err
    before = Path("model/model.safetensors").read_bytes()
    assert run([*train, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert Path("model/model.safetensors").read_bytes() == before


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on(inside: Path, english_file: Path) -> None:
    options = [*QUICK, "--set=max_steps=3000", "--set=validations=150"]
    command = [sys.executable, "-m", "keras_rnnlm"]
    train = [*command, "train", str(english_file), *options]
    with subprocess.Popen(train, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "validation perplexity" in line:
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert "Interrupted. The checkpoint is in runs/english" in said
    words = shlex.split(said.splitlines()[-1])
    assert words[0] == "rnnlm"
    assert run(words[1:]) == 0
    assert Path("runs/english/report.json").exists()
