"""What is added at evaluation, searched and measured at the end of a run."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.language_model import LanguageModel, load
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring.dynamic import DivergedError
from keras_rnnlm.scoring.tuned_evaluation import TunedEvaluation
from keras_rnnlm.training.final_system import FinalSystem
from keras_rnnlm.training.model_card import system_lines
from keras_rnnlm.training.train import train
from tests.training.test_train import Listener

SMALL = {
    "units": 16,
    "layers": 1,
    "batch_size": 4,
    "steps": 8,
    "max_steps": 40,
    "learning_rate": 0.01,
    "validations": 1,
}


def test_a_run_ends_with_the_figures_of_the_stored_system(
    english_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = str(english_file), tmp_path / "m"
    more = {**SMALL, "system_minutes": 0.05, "system_ngram_order": 3}
    sets = [f"--set={name}={value}" for name, value in more.items()]
    command = ["train", text, "--valid", text, "--test", text, "--tokenizer", "char"]
    assert run([*command, *sets, "--out", str(out)]) == 0
    told = capsys.readouterr().err
    assert "test, plain" in told and "test, + n-gram model" in told
    assert "search for additions" in told
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["settings"]["system_minutes"] == 0.05
    system = report["system"]
    names = [line["name"] for line in system["test"]]
    assert names[0] == "static" and "ngram" in names
    assert system["valid"]["ngram"] < system["valid"]["static"]
    assert 0 < system["search_seconds"] <= system["seconds"]
    ready = {line["name"]: line["preparation_seconds"] for line in system["test"]}
    assert ready["static"] == 0.0 and ready["ngram"] > 0
    # The settings lie in the folder: the command measures the same with them.
    lines = load(out).evaluate_additions(english_file, system=True)
    stored = [line["perplexity"] for line in system["test"][1:]]
    assert [line.perplexity for line in lines] == pytest.approx(stored, rel=1e-5)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "--system" in card
    assert f" in {system['test'][-1]['seconds']:.1f} s" in card


def test_learning_that_goes_astray_on_the_test_text_does_not_cost_the_model(
    english_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = Corpus.from_files(
        english_file, valid=english_file, test=english_file, tokenizer="char"
    )
    evaluate = TunedEvaluation.evaluate_additions

    def astray(self: TunedEvaluation, text: Any, **options: Any) -> Any:
        if options.get("system"):
            raise DivergedError("went astray")
        return evaluate(self, text, **options)

    monkeypatch.setattr(TunedEvaluation, "evaluate_additions", astray)
    listener = Listener()
    settings = Settings(**SMALL, system_minutes=0.02, system_ngram_order=0)
    result = train(corpus, settings, tmp_path / "m", reporter=listener)
    assert [line["name"] for line in result.report["system"]["test"]] == ["static"]
    assert any("went astray on the test text" in note for note in listener.notes)
    assert load(result.folder).evaluate(english_file).perplexity == pytest.approx(
        result.report["test"]["perplexity"], rel=1e-5
    )


def test_the_card_of_a_run_without_a_test_text() -> None:
    assert system_lines({"test": []}) == [
        "",
        "What evaluation adds was searched on the validation text (`evaluation.json`; "
        "`rnnlm evaluate THIS_FOLDER text.txt --system`).",
    ]
    line = {"perplexity": 3.0, "seconds": 2.0, "preparation_seconds": 0.5}
    # A plain pass is nothing that evaluation adds.
    plain = {**line, "name": "static"}
    assert system_lines({"test": [plain]}) == system_lines({"test": []})
    line["name"] = "ngram"
    assert system_lines({"test": [line, line]})[1].startswith(
        "With all that is added at evaluation: test perplexity 3.00 in 2.0 s, made "
        "ready in 1.0 s (`evaluation.json`;"
    )


def test_a_training_text_too_short_to_measure_gradients_on(
    english_text: str, tmp_path: Path
) -> None:
    """Nor is there a test text, or an n-gram model to be mixed in."""
    corpus = Corpus.from_texts(["the sea"], valid=[english_text], tokenizer="char")
    settings = Settings(**SMALL, system_minutes=0.01, system_ngram_order=0)
    settings = settings.replace(max_steps=2)
    system = train(corpus, settings, tmp_path / "m").report["system"]
    assert system["valid"]["static"] > 0 and "ngram" not in system["valid"]
    assert corpus.test is None and system["test"] == []


def test_it_needs_a_validation_text(english_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_files(english_file, valid=english_file, tokenizer="char")
    corpus = dataclasses.replace(corpus, valid=None)
    with pytest.raises(ConfigError, match="Give --valid or --split"):
        train(corpus, Settings(**SMALL, system_minutes=1), tmp_path / "m")


def test_its_time_is_a_part_of_the_whole() -> None:
    with pytest.raises(ConfigError, match="a part of 'minutes'"):
        Settings(minutes=2, system_minutes=2)


def test_a_search_that_fails_does_not_cost_the_model(english_file: Path) -> None:
    corpus = Corpus.from_files(
        english_file, valid=english_file, test=english_file, tokenizer="char"
    )
    network = RNNLM(corpus.vocabulary_size, units=4, layers=1, seed=1)
    packed = LanguageModel(network, corpus.tokenizer).quantize("int8")
    notes: list[str] = []
    settings = Settings(**SMALL, system_minutes=0.02, system_ngram_order=0)
    system = FinalSystem(corpus, settings)
    assert system.measure(packed, lambda: None, notes.append) is None
    assert len(notes) == 1 and "was not searched" in notes[0]
