"""Runs that begin with word vectors: frozen, thawed, stopped and resumed."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.vector_words import written_words
from keras_rnnlm.data.vector_writer import write_vectors
from keras_rnnlm.errors import ConfigError, InputError, ResumeError
from keras_rnnlm.language_model import load
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.batches import make_batches
from keras_rnnlm.training.identity import check_identity
from keras_rnnlm.training.loop import TrainingLoop
from keras_rnnlm.training.member_loop import MemberLoop
from keras_rnnlm.training.model_card import model_card
from keras_rnnlm.training.run import TrainingResult
from keras_rnnlm.training.train import train
from keras_rnnlm.training.train_members import train_members
from keras_rnnlm.training.validation import Validator
from keras_rnnlm.training.weight_count import count_weights
from keras_rnnlm.training.word_vectors import NOT_FROZEN, frozen_steps
from tests.conftest import only_on
from tests.data.gensim_files import chance
from tests.training.test_train import Listener, rows

SMALL: dict[str, Any] = {
    "units": 8,
    "layers": 1,
    "batch_size": 4,
    "steps": 8,
    "max_steps": 12,
    "validations": 2,
    "dropout": 0.1,
    "learning_rate": 0.01,
}
WIDTH = 5


@pytest.fixture(scope="module")
def corpus(english_file: Path) -> Corpus:
    return Corpus.from_files(english_file, tokenizer="word", split=(0.7, 0.15, 0.15))


@pytest.fixture
def vectors(corpus: Corpus, tmp_path: Path) -> str:
    """Vectors of every other word."""
    words = written_words(corpus.tokenizer)[::2]
    path = tmp_path / "vectors.txt"
    write_vectors(path, words, chance(len(words), WIDTH))
    return str(path)


def matrix(result: TrainingResult) -> np.ndarray:
    assert result.language_model is not None
    return weight_arrays(result.language_model.network)["embedding.weight"]


def stopped_at(step: int, patch: pytest.MonkeyPatch) -> None:
    ends = TrainingLoop.on_train_batch_end

    def interrupt(self: TrainingLoop, batch: int, logs: Any = None) -> None:
        if self.step == step - 1:
            self.flag.number = 2
        ends(self, batch, logs)

    patch.setattr(TrainingLoop, "on_train_batch_end", interrupt)


def test_frozen_vectors_stay_as_they_are(
    corpus: Corpus, vectors: str, tmp_path: Path
) -> None:
    settings = Settings(
        **SMALL, vectors=vectors, vectors_frozen=True, optimizer="adamw", average=0.9
    )
    listener = Listener()
    result = train(corpus, settings, tmp_path / "run", reporter=listener)
    assert result.language_model is not None
    network = result.language_model.network
    assert network.get_config()["embedding"] == WIDTH  # as the settings give none
    known = chance(len(corpus.tokenizer.tokens[::2]), WIDTH)
    np.testing.assert_array_equal(matrix(result)[::2], known)
    facts = result.report["vectors"]
    assert (facts["width"], facts["types_found"]) == (WIDTH, len(known) - 1)
    assert result.report["vectors_trained_since"] is None
    assert any(note.startswith("Word vectors: ") for note in listener.notes)
    assert "left as they were" in (tmp_path / "run" / "README.md").read_text("utf-8")
    # Frozen for some epochs, they are so too where the kept weights are older.
    some = {**result.report["settings"], "vectors_frozen": 2.0}
    for since, best, then in (
        (None, 9, "left as they were"),
        (6, 6, "left as they were"),
        (6, 7, "trained further after 2 epochs"),
    ):
        later = {"settings": some, "vectors_trained_since": since, "best_step": best}
        assert then in model_card({**result.report, **later})
    Path(vectors).unlink()
    again = load(tmp_path / "run")
    np.testing.assert_array_equal(again.vectors(), matrix(result))
    done = train(corpus, settings, tmp_path / "run", resume=True)
    assert done.report == result.report


@pytest.mark.parametrize(
    "options",
    [
        {"units": 6, "network": "transformer", "heads": 1},
        {"embedding": 7, "vectors_frozen": False},
    ],
    ids=str,
)
def test_widths_that_differ(
    corpus: Corpus, vectors: str, tmp_path: Path, options: dict[str, Any]
) -> None:
    frozen = {"vectors_frozen": True}
    settings = Settings(**{**SMALL, **frozen, **options, "vectors": vectors})
    result = train(corpus, settings, tmp_path / "run")
    assert result.language_model is not None
    arrays = weight_arrays(result.language_model.network)
    width = options.get("embedding", options.get("units"))
    assert arrays["embedding.projection"].shape == (WIDTH, width)
    known = chance(len(corpus.tokenizer.tokens[::2]), WIDTH)
    same = (arrays["embedding.weight"][::2] == known).all()
    assert same == (settings.vectors_frozen is True)


@pytest.mark.once
def test_stopped_while_frozen_and_after_the_run_ends_alike(
    corpus: Corpus, vectors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**SMALL, "optimizer": "adamw", "weight_decay": 0.1, "average": 0.9}
    options["validations"] = 1  # so that the last weights are the best, not the frozen
    batches = make_batches(corpus.train, Settings(**options), None)
    epochs = 6 / batches.batches_per_epoch  # until step 6 of 12
    settings = Settings(**options, vectors=vectors, vectors_frozen=epochs)
    listener = Listener()
    whole = train(corpus, settings, tmp_path / "whole", reporter=listener)
    assert whole.report["vectors_trained_since"] == 6
    assert whole.report["averaged_since"] == 6
    assert "The word vectors are trained from step 6 on." in listener.notes
    known = chance(len(corpus.tokenizer.tokens[::2]), WIDTH)
    assert (matrix(whole)[::2] != known).any()

    folder = tmp_path / "run"
    for stop in (6, 9):
        with monkeypatch.context() as patch:
            stopped_at(stop, patch)
            assert train(corpus, settings, folder, resume=stop > 6).interrupted
        Path(vectors).unlink(missing_ok=True)  # the checkpoint has what it takes
    resumed = train(corpus, settings, folder, resume=True)
    assert resumed.language_model is not None and whole.language_model is not None
    found = weight_arrays(resumed.language_model.network)
    for name, values in weight_arrays(whole.language_model.network).items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    for key in ("vectors", "vectors_trained_since", "averaged_since", "best_step"):
        assert resumed.report[key] == whole.report[key]
    # Also of the means under way where it was stopped just as they thawed.
    one, two = (rows(tmp_path / name, "train") for name in ("whole", "run"))
    assert [row["loss"] for row in one] == [row["loss"] for row in two]


def test_members_thaw_as_they_would_alone(
    corpus: Corpus, vectors: str, tmp_path: Path
) -> None:
    only_on("jax")
    options: dict[str, Any] = {**SMALL, "vectors": vectors, "vectors_frozen": 0.2}
    run = train_members(corpus, Settings(**options), tmp_path / "run", 2)
    since = run.members[0].report["vectors_trained_since"]
    assert 0 < since < SMALL["max_steps"]
    alone = train(corpus, Settings(**options, seed=1), tmp_path / "alone")
    assert alone.report["vectors_trained_since"] == since
    last = run.members[1].language_model
    assert alone.language_model is not None and last is not None
    found = weight_arrays(last.network)
    for name, values in weight_arrays(alone.language_model.network).items():
        np.testing.assert_allclose(
            found[name], values, rtol=1e-4, atol=1e-5, err_msg=name
        )


@pytest.mark.slow
@pytest.mark.parametrize("early", [False, True])
def test_members_go_on_from_before_and_after_they_thaw(
    corpus: Corpus,
    vectors: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    early: bool,
) -> None:
    """Also where one of them has ended while its vectors were frozen."""
    only_on("jax")
    options = {**SMALL, "validations": 6, "average": 0.9, "vectors": vectors}
    batches = make_batches(corpus.train, Settings(**options), None)
    settings = Settings(**options, vectors_frozen=5 / batches.batches_per_epoch)
    validate, ends = TrainingLoop._validate, TrainingLoop.on_train_batch_end
    stop = 0

    def ending(self: MemberLoop, validator: Validator, logs: Any) -> None:
        validate(self, validator, logs)
        self.complete |= early and self._index == 0 and self.step >= 2

    def interrupt(self: MemberLoop, batch: int, logs: Any = None) -> None:
        if self._index == 1 and self.step == stop - 2:
            signal.raise_signal(signal.SIGINT)  # is read after the next step
        ends(self, batch, logs)

    monkeypatch.setattr(MemberLoop, "_validate", ending)
    monkeypatch.setattr(MemberLoop, "on_train_batch_end", interrupt)
    whole = train_members(corpus, settings, tmp_path / "whole", 2)
    folder = tmp_path / "run"
    for stop in (9,) if early else (5, 9):
        again = stop > 5 and not early
        stopped = train_members(corpus, settings, folder, 2, resume=again)
        assert stopped.interrupted == signal.SIGINT
    stop = 0
    resumed = train_members(corpus, settings, folder, 2, resume=True)
    for mine, wanted in zip(resumed.members, whole.members, strict=True):
        assert mine.language_model is not None and wanted.language_model is not None
        found = weight_arrays(mine.language_model.network)
        for name, values in weight_arrays(wanted.language_model.network).items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        for key in ("vectors_trained_since", "averaged_since", "best_step"):
            assert mine.report[key] == wanted.report[key]
    since = [each.report["vectors_trained_since"] for each in whole.members]
    assert since == [None if early else 5, 5]


def test_when_they_thaw() -> None:
    def steps(frozen: bool | float, **options: Any) -> float:
        return frozen_steps(
            Settings(vectors="a.txt", vectors_frozen=frozen, **options), 10
        )

    assert steps(False) == steps(0.0) == NOT_FROZEN < 0
    assert steps(True) == float("inf")
    assert (steps(1), steps(1.26), steps(0.001)) == (10, 13, 1)
    assert frozen_steps(Settings(), 10) == NOT_FROZEN


def test_useless_files_are_said_before_there_is_a_folder(
    corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("chat 1 2\nchien 3 4\n")
    for name, message in (("a.txt", "found none among 2 words"), ("b", "cannot be")):
        settings = Settings(**SMALL, vectors=str(tmp_path / name))
        with pytest.raises(InputError, match=message):
            train(corpus, settings, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_vectors_too_wide_for_the_memory(
    corpus: Corpus, vectors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_rnnlm.training import memory

    plain = memory.needed_bytes(
        count_weights(Settings(**SMALL), corpus.vocabulary_size) or 0,
        corpus.vocabulary_size,
        Settings(**SMALL),
    )
    words = written_words(corpus.tokenizer)
    write_vectors(tmp_path / "wide.txt", words, chance(len(words), 500))
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * plain)
    settings = Settings(**SMALL, vectors=str(tmp_path / "wide.txt"))
    with pytest.raises(ConfigError, match="Training would take about"):
        train(corpus, settings, tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["vectors_frozen=true"], "names; received none"),
        (["vectors_case=lower"], "'vectors_case' is about the file of word vectors"),
        (["vectors=a", "vectors_case=lowr"], "Did you mean 'lower'?"),
        (["vectors=a", "vectors_normalize=nfkd"], "Did you mean 'nfkc'?"),
        (["vectors=a", "vectors_frozen=-1"], "at least 0 and at most"),
        (["vectors=a", "vectors_frozen=yes"], "true or false or a number"),
        (["vectors=3"], "takes a word or none"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_recipe(None, overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("frozen", "wanted"), [("true", True), ("2", 2.0), ("0.5", 0.5), ("false", False)]
)
def test_settings_from_the_command_line(frozen: str, wanted: bool | float) -> None:
    overrides = ["vectors=a/b.txt", f"vectors_frozen={frozen}"]
    overrides.append("vectors_normalize=nfkc,accents")
    settings = Settings.from_recipe(None, overrides)
    assert settings.vectors_frozen == wanted
    assert type(settings.vectors_frozen) is type(wanted)
    assert settings.vectors_normalize == ("nfkc", "accents")
    assert Settings.from_dict(settings.to_dict()) == settings


def test_for_one_epoch_is_not_for_all() -> None:
    def identity(frozen: bool | float) -> dict[str, Any]:
        settings = Settings(vectors="a", vectors_frozen=frozen).to_dict()
        return {"settings": settings, "data": {}}

    check: Callable[..., None] = check_identity
    check(identity(1.0), {**identity(1), **dict.fromkeys(_OTHERS)}, "run")
    with pytest.raises(ResumeError, match="has vectors_frozen=True"):
        check(identity(True), {**identity(1.0), **dict.fromkeys(_OTHERS)}, "run")


_OTHERS = ("tokenizer", "vocabulary_size", "vocabulary", "schedule")
