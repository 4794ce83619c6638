"""`system_minutes` with members: the end of their run, and one command after it."""

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import pytest

import keras_rnnlm as krl
from keras_rnnlm.cli.main import run
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.scoring.tuned_ensemble import TunedEnsemble
from keras_rnnlm.training import ensemble_run
from keras_rnnlm.training.ensemble_run import EnsembleResult
from keras_rnnlm.training.final_system import FinalSystem
from keras_rnnlm.training.run import Run
from keras_rnnlm.training.signals import Interrupted
from keras_rnnlm.training.train_members import train_members
from tests.conftest import only_on

SETTINGS = Settings(
    units=16,
    layers=1,
    batch_size=4,
    steps=8,
    steps_deviation=2,
    max_steps=20,
    learning_rate=0.01,
    validations=1,
    system_minutes=0.05,
    system_ngram_order=3,
)


@pytest.fixture(scope="module")
def corpus(english_file: Path) -> Corpus:
    return Corpus.from_files(
        english_file, valid=english_file, test=english_file, tokenizer="char"
    )


@pytest.fixture(scope="module")
def result(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> EnsembleResult:
    only_on("jax")
    return train_members(corpus, SETTINGS, tmp_path_factory.mktemp("m") / "run", 2)


def test_a_run_ends_with_the_figures_of_all_members(result: EnsembleResult) -> None:
    system = result.report["system"]
    names = [line["name"] for line in system["test"]]
    assert names[:2] == ["static", "temperature"] and "ngram" in names
    assert "ensemble" not in names
    for line in system["test"]:
        experts = line["settings"]["weights"]
        assert sum(who.startswith(("model", "member:")) for who in experts) == 2
    # The first line is the ensemble as the report has it.
    assert system["test"][0]["nats"] == pytest.approx(
        result.report["test"]["nats"], rel=1e-5
    )
    assert system["valid"]["ngram"] < system["valid"]["static"]
    assert 0 < system["search_seconds"] <= system["seconds"]
    for member in result.members:
        assert member.report["system"] is None
        assert not (member.folder / "evaluation.json").exists()


def test_what_was_found_lies_in_the_folder(
    result: EnsembleResult, english_file: Path
) -> None:
    stored = [line["perplexity"] for line in result.report["system"]["test"]]
    ensemble = TunedEnsemble([krl.load(member.folder) for member in result.members])
    ensemble.read_tuned_from(result.folder)
    lines = ensemble.evaluate_additions(english_file, static=True, system=True)
    assert [line.perplexity for line in lines] == pytest.approx(stored, rel=1e-5)
    card = (result.folder / "README.md").read_text(encoding="utf-8")
    assert "--system" in card and f"{stored[-1]:.2f}" in card
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert {"evaluation.json", "report.json", "README.md"} <= set(manifest["sha256"])


def test_one_command_gives_the_same_lines(
    result: EnsembleResult, english_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(result.folder), str(english_file), "--system"]
    assert run([*command, "--json"]) == 0
    said = capsys.readouterr()
    assert "the lines after them are of all" in said.err
    found = json.loads(said.out)["additions"]
    wanted = result.report["system"]["test"]
    assert [line["name"] for line in found] == [line["name"] for line in wanted]
    assert [line["nats"] for line in found] == pytest.approx(
        [line["nats"] for line in wanted], rel=1e-5
    )
    assert run(command) == 0
    assert "n-gram model" in capsys.readouterr().out
    assert run([*command, "--ensemble", str(result.members[0].folder)]) == 2
    assert "leave --ensemble out" in capsys.readouterr().err


def test_its_time_is_set_aside(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps of a timed run end so much earlier than those of one without it."""
    only_on("jax")
    reserves: list[float] = []

    class Known(Exception):
        """The pace is known, and that is enough."""

    def pace(self: Run, *given: Any) -> None:
        reserves.append(given[-1])
        raise Known

    monkeypatch.setattr(Run, "pace", pace)
    timed = SETTINGS.replace(max_steps=None, minutes=1.0)
    for number, minutes in enumerate((0.0, 0.25)):
        with pytest.raises(Known):
            settings = timed.replace(system_minutes=minutes)
            train_members(corpus, settings, tmp_path / str(number), 2)
    assert reserves == [0.0, 15.0]


def test_a_run_that_is_stopped_while_it_searches_goes_on_there(
    corpus: Corpus,
    result: EnsembleResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: FinalSystem, *given: Any) -> None:
        raise Interrupted(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ensemble_run.FinalSystem, "measure", interrupted)
        stopped = train_members(corpus, SETTINGS, tmp_path / "run", 2)
    assert stopped.report == {} and not (stopped.folder / "report.json").exists()
    resumed = train_members(corpus, SETTINGS, tmp_path / "run", 2, resume=True)
    assert resumed.report["system"]["test"]
    nats = result.report["test"]["nats"]
    assert resumed.report["test"]["nats"] == pytest.approx(nats, rel=1e-9)


def test_it_needs_a_validation_text(corpus: Corpus, tmp_path: Path) -> None:
    only_on("jax")
    without = dataclasses.replace(corpus, valid=None)
    with pytest.raises(ConfigError, match="Give --valid or --split"):
        train_members(without, SETTINGS, tmp_path / "run", 2)
    assert not (tmp_path / "run").exists()
