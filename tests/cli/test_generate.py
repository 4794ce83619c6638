import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from tests.conftest import needs_compiler, only_on

Captured = pytest.CaptureFixture[str]


def written(model: Path, capsys: Captured, *options: str) -> str:
    assert run(["generate", str(model), "--tokens", "30", *options]) == 0
    return capsys.readouterr().out


def test_the_same_seed_writes_the_same(english_model: Path, capsys: Captured) -> None:
    first = written(english_model, capsys, "--seed", "7")
    assert first.strip()
    assert first == written(english_model, capsys, "--seed", "7")
    assert first != written(english_model, capsys, "--seed", "8")


def test_the_variable_is_beaten_by_the_option(
    english_model: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    seven = written(english_model, capsys, "--seed", "7")
    monkeypatch.setenv("RNNLM_SEED", "7")
    assert written(english_model, capsys) == seven
    assert written(english_model, capsys, "--seed", "8") != seven


def test_it_goes_on_from_the_prompt(chinese_model: Path, capsys: Captured) -> None:
    out = written(chinese_model, capsys, "--prompt", "看塔人", "--seed", "1")
    assert out.startswith("看塔人")
    assert len(out) == len("看塔人") + 30 + 1
    assert "\ufffd" not in out


def test_several_texts(chinese_model: Path, capsys: Captured) -> None:
    options = ["-n", "3", "--prompt", "灯", "--seed", "1"]
    texts = written(chinese_model, capsys, *options).split("---\n")
    assert len(texts) == 3
    found = json.loads(written(chinese_model, capsys, *options, "--json"))
    assert found["texts"] == [text.removesuffix("\n")[1:] for text in texts]
    assert found["prompt"] == "灯"
    assert found["seed"] == 1


def test_stop_strings(chinese_model: Path, capsys: Captured) -> None:
    stops = ["--stop", "。", "--stop", "，"]
    found = json.loads(written(chinese_model, capsys, "--seed", "2", "--json", *stops))[
        "texts"
    ][0]
    assert "。" not in found
    assert "，" not in found


def test_the_likeliest_each_time(english_model: Path, capsys: Captured) -> None:
    for option in (["--temperature", "0"], ["--top-k", "1"], ["--top-p", "1e-9"]):
        assert written(english_model, capsys, "--seed", "1", *option) == written(
            english_model, capsys, "--seed", "2", *option
        )


def test_unknown_words_of_the_prompt_are_named(
    english_model: Path, capsys: Captured
) -> None:
    arguments = ["generate", str(english_model), "--tokens", "2"]
    assert run([*arguments, "--prompt", "the zeppelin"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("the zeppelin")
    assert err == "Not in the vocabulary: zeppelin\n"


def test_options_out_of_range(english_model: Path, capsys: Captured) -> None:
    for option in (["--top-p", "1.5"], ["--temperature", "-1"], ["--tokens", "0"]):
        assert run(["generate", str(english_model), *option]) == 2
        assert "not in the range" in capsys.readouterr().err


def test_weights_of_fewer_bits(
    english_model: Path, english_file: Path, capsys: Captured
) -> None:
    only_on("jax")
    needs_compiler()
    found = json.loads(written(english_model, capsys, "--weights", "int8", "--json"))
    assert found["weights"] == "int8"
    assert found["path"].startswith("native ")
    perplexities = []
    for options in ([], ["--weights", "int8"]):
        arguments = ["evaluate", str(english_model), str(english_file), "--json"]
        assert run([*arguments, *options]) == 0
        figures = json.loads(capsys.readouterr().out)
        perplexities.append(figures["perplexity"])
    assert figures["weights"] == "int8"
    assert perplexities[1] == pytest.approx(perplexities[0], rel=0.02)
    assert run(["evaluate", str(english_model), str(english_file), *options]) == 0
    assert "int8" in capsys.readouterr().out
