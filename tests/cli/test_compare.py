import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.cli.main import rnnlm, run
from keras_rnnlm.search import measures
from keras_rnnlm.search.contestants import DEFAULT, names
from tests.conftest import CHECKOUT

Captured = pytest.CaptureFixture[str]

SMALL = [
    "--set=units=16",
    "--set=layers=1",
    "--set=batch_size=4",
    "--set=steps=8",
    "--set=validations=1",
]
FILES = ("comparison.json", "runs.csv", "table.tex", "table.txt", "perplexity.png")


@pytest.fixture(autouse=True)
def short_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "GENERATED_SECONDS", 0.01)


def command(text: Path, *options: str) -> list[str]:
    return ["compare", str(text), "--tokenizer", "char", *SMALL, *options]


def test_a_table_and_its_files(
    english_file: Path, inside: Path, capsys: Captured
) -> None:
    options = ["--models", "gru,ngram", "--set=max_steps=9", "--out", "c"]
    options += ["--csv", "mine.csv", "--latex", "mine.tex", "--plot", "mine.png"]
    assert run(command(english_file, *options)) == 0
    said = capsys.readouterr()
    head, _, *rows = said.out.splitlines()
    assert head.split()[:2] == ["model", "parameters"]
    assert {row.split()[0] for row in rows} == {"gru", "ngram"}
    assert "[2/2] ngram, final" in said.err
    assert "Now try: " in said.err and "generate c/gru-seed0" in said.err
    for name in FILES:
        assert (inside / "c" / name).is_file()
    written = (inside / "mine.csv").read_text("utf-8")
    assert len(list(csv.reader(written.splitlines()))) == 3
    assert (inside / "mine.tex").read_text("utf-8").endswith("\\end{tabular}\n")
    assert (inside / "mine.png").stat().st_size > 10_000

    # Once more: all is there, and one object of JSON says so.
    assert run(command(english_file, *options, "--resume", "--json")) == 0
    again = capsys.readouterr()
    found = json.loads(again.out)
    assert {row["model"] for row in found["rows"]} == {"gru", "ngram"}
    assert found["reference"] in ("gru", "ngram")
    assert found["command"].startswith("rnnlm compare ")
    assert "[1/2]" not in again.err

    assert run(["info", "c/gru-seed0"]) == 0


def test_the_help_names_the_default() -> None:
    options = rnnlm.commands["compare"].params
    (said,) = (getattr(each, "help", "") for each in options if each.name == "models")
    assert set(re.findall(r"\w+", said)) & set(names()) == set(DEFAULT)


def test_the_time_is_announced(
    english_file: Path, inside: Path, capsys: Captured
) -> None:
    options = ["--models", "ngram", "--out", "c", "--trials", "2"]
    assert run(command(english_file, *options)) == 0
    assert "Comparing the n-gram model, in c." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--models", "ltsm"], "Did you mean 'lstm'?"),
        (["--models", "gru,gru"], "more than once"),
        (["--models", ","], "one model or more"),
        (["--set=unit=3"], "Did you mean 'units'?"),
        (["--set=lru.units=3"], "takes no part"),
        (["--set=seed=3"], "use --seed and --seeds"),
        (["--minutes", "1", "--set=max_steps=9"], "two budgets"),
        (["--parameters", "many"], "such as 24M"),
        (["--parameters", "300"], "Expected --parameters that"),
        (["--split", "0.9"], "such as 0.9,0.1"),
        (["--resume"], "--resume needs --out"),
        (["--out", "."], "exists already"),
        (["--recipe", "wrd"], "Did you mean 'word'?"),
        (["--csv", "nowhere/x.csv"], "--csv expected the name of a file in a folder"),
    ],
)
def test_slips(
    english_file: Path,
    inside: Path,
    capsys: Captured,
    options: list[str],
    says: str,
) -> None:
    (inside / "here").touch()
    words = ["compare", str(english_file), "--tokenizer", "char", *options]
    assert run(words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not (inside / "runs").exists()


def test_no_validation_text(english_file: Path, capsys: Captured) -> None:
    words = ["compare", str(english_file), "--test", str(english_file)]
    assert run([*words, "--split", "1,0"]) == 2
    assert capsys.readouterr().err.startswith("rnnlm: error: ")


def start(folder: Path, text: Path, *options: str) -> subprocess.Popen[str]:
    paths = [str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    words = ["--models", "gru,ngram,simple_rnn", "--set=max_steps=3000", "--out"]
    line = [sys.executable, "-m", "keras_rnnlm"]
    line += command(text, *words, str(folder), *options)
    return subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)


def records(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "comparison.json").read_text("utf-8"))
    return {each["name"]: each for each in found["runs"]}


@pytest.mark.slow
def test_stopped_and_resumed(english_file: Path, tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "c"
    uninterrupted = start(whole, english_file)
    said = uninterrupted.communicate(timeout=300)[1]
    assert uninterrupted.returncode == 0, said

    def stop(run: str, number: signal.Signals, *options: str) -> tuple[int, str]:
        """Send a signal once this run trains; return the code and what was said."""
        stopped = start(folder, english_file, *options)
        log = folder / run / "training.jsonl"
        while not log.is_file() and stopped.poll() is None:
            time.sleep(0.05)
        stopped.send_signal(number)
        said = stopped.communicate(timeout=120)[1]
        return stopped.returncode, said

    assert stop("gru-seed0", signal.SIGKILL)[0] == -signal.SIGKILL  # first of three
    assert not (folder / "gru-seed0" / "report.json").exists()
    code, said = stop("simple_rnn-seed0", signal.SIGINT, "--resume")  # the last one
    assert code == 130
    (line,) = (line for line in said.splitlines() if "--resume" in line)
    assert shlex.split(line)[-1] == "--resume"
    assert "Finished runs are in" in said
    assert set(records(folder)) == {"gru-seed0", "ngram"}
    resumed = start(folder, english_file, "--resume")
    said = resumed.communicate(timeout=300)[1]
    assert resumed.returncode == 0, said
    assert "gru, final" not in said and "simple_rnn, final" in said
    found, expected = records(folder), records(whole)
    assert set(found) == set(expected)
    for name, each in expected.items():
        for key in ("identity", "weights_hash", "parameters"):
            assert found[name][key] == each[key]
        assert found[name]["valid"]["nats"] == each["valid"]["nats"]
