"""`rnnlm evaluate` with additions, and `rnnlm tune-evaluation`, on a tiny model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.cli.main import run

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def found(capsys: Captured) -> Any:
    """A function that runs a command and returns the JSON that it prints."""

    def ask(*arguments: object) -> dict[str, Any]:
        assert run([*map(str, arguments), "--json"]) == 0
        value: dict[str, Any] = json.loads(capsys.readouterr().out)
        return value

    return ask


def test_each_addition_is_a_line_beside_the_plain_figure(
    english_model: Path, english_file: Path, found: Any, capsys: Captured
) -> None:
    plain = found("evaluate", english_model, english_file)
    assert "additions" not in plain
    asked = ["evaluate", english_model, english_file, "--dynamic", "--cache"]
    asked += ["--temperature=1.1", "--mc-dropout=2", "--set=cache.weight=0.25"]
    asked += ["--set=dynamic.rate=0.3", "--set=dynamic.segment=8"]
    added = found(*asked)
    assert added["nats"] == plain["nats"]
    lines = added["additions"]
    names = ["temperature", "dynamic", "mc_dropout", "cache"]
    assert [line["name"] for line in lines] == names
    for line in lines:
        assert set(line) == {
            *("name", "protocol", "tokens", "nats", "loss", "perplexity", "oov"),
            *("nats_without_oov", "perplexity_without_oov", "words", "lines"),
            *("word_perplexity", "word_perplexity_comparable", "characters"),
            *("bits_per_character", "bytes", "bits_per_byte"),
            *("seconds", "preparation_seconds", "settings"),
        }
        assert line["protocol"] == "carry"
        assert line["tokens"] == plain["tokens"]
        assert line["seconds"] > 0
    assert lines[1]["settings"]["dynamic"]["rate"] == 0.3
    assert lines[3]["settings"]["weights"]["cache"] == 0.25
    assert lines[0]["preparation_seconds"] == 0.0
    assert lines[1]["preparation_seconds"] > 0

    assert run([str(word) for word in asked]) == 0
    said = capsys.readouterr().out
    assert said.index("perplexity per word") < said.index("temperature")
    assert "+ dynamic evaluation" in said
    assert "rate 0.3, decay 0, segment 8" in said


def test_counting_an_ngram_model_is_part_of_the_cost_of_its_line(
    english_model: Path, english_file: Path, found: Any
) -> None:
    counting = ["--ngram=fit", f"--train={english_file}", "--set=ngram.order=2"]
    asked = ["--temperature=1.1", *counting]
    added = found("evaluate", english_model, english_file, *asked)["additions"]
    assert [line["name"] for line in added] == ["temperature", "ngram"]
    assert added[0]["preparation_seconds"] == 0.0
    assert added[1]["preparation_seconds"] > 0


def test_another_protocol_keeps_its_figure(
    english_model: Path, english_file: Path, found: Any
) -> None:
    carried = found("evaluate", english_model, english_file)
    windows = found(
        "evaluate", english_model, english_file, "--protocol=window:8", "--cache"
    )
    assert windows["protocol"] == "window:8"
    names = [line["name"] for line in windows["additions"]]
    assert names == ["static", "cache"]
    assert windows["additions"][0]["nats"] == pytest.approx(carried["nats"], rel=1e-6)


def test_settings_are_searched_stored_and_used(
    english_model: Path, english_file: Path, found: Any, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(english_model, model)
    options = [f"--train={english_file}", "--ngram=fit", "--ngram-order=3"]
    tuned = found("tune-evaluation", model, english_file, *options, "--minutes=0.05")
    assert tuned["record"]["predictions"] > 0
    names = [line["name"] for line in tuned["lines"]]
    assert names[0] == "temperature"
    assert names[-1] == "ngram"  # which has read this very text
    stored = json.loads((model / "evaluation.json").read_text(encoding="utf-8"))
    assert stored["lines"] == tuned["lines"]
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    assert {"evaluation.json", "ngram.arpa"} <= set(manifest["sha256"])

    plain = found("evaluate", english_model, english_file)
    system = found("evaluate", model, english_file, "--system")
    assert [line["name"] for line in system["additions"]] == names
    assert system["nats"] == plain["nats"]
    assert system["additions"][-1]["perplexity"] < 0.7 * plain["perplexity"]


def test_an_ensemble_of_folders(
    english_model: Path,
    english_file: Path,
    chinese_model: Path,
    found: Any,
    capsys: Any,
) -> None:
    plain = found("evaluate", english_model, english_file)
    twice = found("evaluate", english_model, english_file, "--ensemble", english_model)
    (line,) = twice["additions"]
    assert line["nats"] == pytest.approx(plain["nats"], rel=1e-6)
    arguments = ["--ensemble", str(chinese_model)]
    assert run(["evaluate", str(english_model), str(english_file), *arguments]) == 2
    assert "the same tokenizer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--system"], "tune-evaluation"),
        (["--system", "--dynamic"], "leave --dynamic out"),
        (["--set=dynamic.rate=1"], "--dynamic beside it"),
        (["--dynamic", "--set=dynamic.rat=1"], "Did you mean 'dynamic.rate'?"),
        (["--dynamic", "--set=dynamic.rate=much"], "a number for dynamic.rate"),
        (["--dynamic", "--set=dynamic.scaled=true"], "scale of gradients"),
        (["--dynamic", "--set=dynamic.decay=2"], "from 0 to 1"),
        (["--cache", "--set=cache.window=0"], "1 or more"),
        (["--temperature=0"], "above 0"),
        (["--ngram=fit"], "--train"),
        (["--cache", "--train=text"], "add --ngram fit"),
        (["--ngram=a.arpa", "--set=ngram.order=3"], "received 3 and a.arpa"),
        (
            ["--ngram=fit", "--train=text", "--set=ngram.order=0"],
            "ngram.order takes 1 or more; received 0",
        ),
        (["--dynamic", "--weights=int8"], "plain figures alone"),
        (["--ensemble=nowhere"], "does not exist"),
    ],
)
def test_what_cannot_be_done(
    arguments: list[str],
    said: str,
    english_model: Path,
    english_file: Path,
    capsys: Captured,
) -> None:
    assert run(["evaluate", str(english_model), str(english_file), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_gains_are_those_over_a_pass_that_reads_on_as_well(
    english_model: Path, english_file: Path, capsys: Captured
) -> None:
    command = ["evaluate", str(english_model), str(english_file)]
    assert run([*command, "--protocol", "window:4", "--temperature", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()
    (warm,) = [row for row in rows if row.startswith("+ temperature")]
    assert "(+0.0%)" in warm
