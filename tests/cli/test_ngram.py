import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.language_model import load
from keras_rnnlm.scoring.ngram import NGramModel

Captured = pytest.CaptureFixture[str]


def test_figures_and_a_file(
    english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    arpa = tmp_path / "english.arpa"
    command = ["ngram", str(english_file), "--tokenizer", "word", "--order", "3"]
    command += ["--arpa", str(arpa), "--test", str(english_file)]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "order 3, words; each line begins without a context" in said
    assert "test perplexity" in said
    assert str(arpa) in said
    assert arpa.read_text(encoding="utf-8").endswith("\\end\\\n")


def test_one_json_object(chinese_file: Path, capsys: Captured) -> None:
    command = ["ngram", str(chinese_file), "--valid", str(chinese_file), "--json"]
    assert run(command) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["order"], found["token"]) == (7, "character")
    assert found["contexts"] == "stream"
    assert len(found["ngrams"]) == len(found["discounts"]) == 7
    assert found["valid"]["perplexity"] > 1
    assert set(found["seconds"]) == {"reading", "estimating", "writing", "all"}


def test_the_tokens_of_a_model(
    english_model: Path, english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    arpa = tmp_path / "model.arpa"
    command = ["ngram", str(english_file), "--model", str(english_model), "--json"]
    assert run([*command, "--arpa", str(arpa)]) == 0
    found = json.loads(capsys.readouterr().out)
    lm = load(english_model)
    model = NGramModel.read_arpa(arpa, lm.tokenizer)
    assert [len(table) for table in model.tables] == found["ngrams"]
    assert run([*command, "--tokenizer", "char"]) == 2
    assert "leave --tokenizer out" in capsys.readouterr().err


def test_a_file_for_which_there_is_no_folder_is_refused_before_the_work(
    tmp_path: Path, capsys: Captured
) -> None:
    arpa = tmp_path / "nowhere" / "model.arpa"
    assert run(["ngram", str(tmp_path / "no-text.txt"), "--arpa", str(arpa)]) == 2
    assert "--arpa expected the name of a file" in capsys.readouterr().err
