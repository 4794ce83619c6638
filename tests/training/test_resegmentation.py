"""Training on a text that is segmented anew in each epoch, end to end."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.adapt import Base, adapt
from keras_rnnlm.training.adaptation import Adaptation
from keras_rnnlm.training.batches import make_batches, make_resegmentation
from keras_rnnlm.training.range_test import range_test
from keras_rnnlm.training.train import schedule_of, train
from keras_rnnlm.training.train_members import train_members
from tests.conftest import only_on
from tests.training.test_resume_options import same, stopped_at

SMALL: dict[str, Any] = {
    "units": 8,
    "layers": 1,
    "batch_size": 8,
    "steps": 16,
    "max_steps": 30,
    "validations": 3,
    "dropout": 0.1,
}
DRAWN: dict[str, dict[str, Any]] = {
    "bpe": {"bpe_dropout": 0.3},
    "unigram": {"unigram_alpha": 0.3},
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "lanes": ("bpe", {"partial_shuffle": True, "state_reset": 0.1}),
    "windows": ("unigram", {"steps_deviation": 2}),
    "noise": ("unigram", {"noising": "bigram", "noising_rate": 0.2}),
    "lines": ("bpe", {"mode": "sentence", "noising": "blank", "noising_rate": 0.2}),
}


@pytest.fixture(scope="module")
def corpora(english_file: Path) -> dict[str, Corpus]:
    return {
        kind: Corpus.from_files(english_file, tokenizer=kind, split=(0.7, 0.15, 0.15))
        for kind in ("bpe", "unigram", "word", "char")
    }


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_run_goes_on_to_the_very_same_end(
    corpora: dict[str, Corpus],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    kind, options = CASES[case]
    settings = Settings(**{**SMALL, **DRAWN[kind], **options})
    whole = train(corpora[kind], settings, tmp_path / "whole")
    assert whole.report["epochs"] > 2  # so that it stops after the first
    stops = (7, 22) if case == "windows" else (22,)
    for stop in stops:
        with monkeypatch.context() as patch:
            stopped_at(stop, patch)
            assert train(
                corpora[kind], settings, tmp_path / "run", resume=stop > stops[0]
            ).interrupted
    resumed = train(corpora[kind], settings, tmp_path / "run", resume=True)
    assert same(whole, resumed)


def test_a_run_is_repeated_from_its_report(
    corpora: dict[str, Corpus], tmp_path: Path
) -> None:
    settings = Settings(**{**SMALL, **DRAWN["bpe"]})
    whole = train(corpora["bpe"], settings, tmp_path / "whole")
    again, schedule = schedule_of(whole.report)
    assert same(
        whole, train(corpora["bpe"], again, tmp_path / "again", schedule=schedule)
    )
    plain = train(corpora["bpe"], Settings(**SMALL), tmp_path / "plain")
    assert not same(whole, plain)


def test_epochs_are_passes_over_the_text(
    corpora: dict[str, Corpus], tmp_path: Path
) -> None:
    settings = Settings(**{**SMALL, **DRAWN["bpe"], "max_steps": None, "epochs": 3})
    report = train(corpora["bpe"], settings, tmp_path / "run").report
    assert report["epochs"] == 3.0
    text = corpora["bpe"].train
    passes = make_resegmentation(settings, text, corpora["bpe"].tokenizer)
    number = make_batches(text, settings, None, 0, passes).batches_per_epoch
    plain = make_batches(text, settings, None).batches_per_epoch
    assert report["schedule"]["steps"] == 3 * number
    assert number > 1.2 * plain


def sentences(seed: int, number: int) -> list[str]:
    """Lines of a small grammar; a validation text has mostly lines never seen."""
    random = np.random.default_rng(seed)
    kinds = ("small old grey brown", "cat dog horse farmer", "watched followed heard")
    adjectives, nouns, verbs = (kind.split() for kind in kinds)
    slots = [["the"], adjectives, nouns, verbs, ["the"], adjectives, nouns]
    return [" ".join(random.choice(slot) for slot in slots) for _ in range(number)]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_it_learns(tmp_path: Path, kind: str) -> None:
    corpus = Corpus.from_texts(
        sentences(0, 400), valid=sentences(1, 60), tokenizer=kind, vocabulary_size=400
    )
    options = {"bpe": {"bpe_dropout": 0.1}, "unigram": {"unigram_alpha": 1.0}}[kind]
    learns = Settings(
        units=64,
        layers=1,
        batch_size=8,
        steps=20,
        epochs=20,
        learning_rate=0.01,
        dropout=0.0,
        validations=2,
    )
    nats = {
        name: train(corpus, settings, tmp_path / name).report["valid"]["nats"] / 60
        for name, settings in (
            ("plain", learns),
            ("drawn", Settings.from_dict({**learns.to_dict(), **options})),
        )
    }
    # A line cannot be told better than by the choices that the grammar has, and how
    # often pieces come says far less than that.
    least = 4 * np.log(4) + np.log(3)
    counts = np.bincount(corpus.train.ids, minlength=corpus.vocabulary_size) + 1.0
    assert corpus.valid is not None
    valid = corpus.valid.ids[1:]
    frequencies = -np.log(counts / counts.sum())[valid].sum() / 60
    for name in ("plain", "drawn"):
        assert least < nats[name] < least + 0.3 * (frequencies - least)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("char", "bpe_dropout"),
        ("word", "bpe_dropout"),
        ("unigram", "bpe_dropout"),
        ("char", "unigram_alpha"),
        ("word", "unigram_alpha"),
        ("bpe", "unigram_alpha"),
    ],
)
def test_other_tokenizers_are_refused_before_there_is_a_folder(
    corpora: dict[str, Corpus], tmp_path: Path, kind: str, name: str
) -> None:
    settings = Settings(**SMALL, **{name: 0.1})
    with pytest.raises(ConfigError, match=f"received {name}=0.1 with tokenizer {kind}"):
        train(corpora[kind], settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_members_draw_each_by_its_seed(
    corpora: dict[str, Corpus], tmp_path: Path
) -> None:
    only_on("jax")
    settings = Settings(**{**SMALL, **DRAWN["bpe"]})
    run = train_members(corpora["bpe"], settings, tmp_path / "members", 2)
    for seed, member in enumerate(run.members):
        alone = train(corpora["bpe"], settings.replace(seed=seed), tmp_path / f"{seed}")
        assert member.language_model is not None and alone.language_model is not None
        found = weight_arrays(member.language_model.network)
        for name, array in weight_arrays(alone.language_model.network).items():
            np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="tokenizer word"):
        train_members(corpora["word"], settings, tmp_path / "refused", 2)
    assert not (tmp_path / "refused").exists()


def test_an_adaptation_draws_both_texts_and_resumes(
    corpora: dict[str, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = corpora["bpe"]
    train(corpus, Settings(**SMALL), tmp_path / "base")
    base = Base.load(tmp_path / "base")
    settings = base.settings("adapt", {**SMALL, **DRAWN["bpe"]})
    replay = Adaptation(replay=0.5)

    def run(name: str, resume: bool = False) -> Any:
        out = tmp_path / name
        old = corpus.train
        return adapt(base, corpus, settings, out, replay, old=old, resume=resume)

    whole = run("whole")
    with monkeypatch.context() as patch:
        stopped_at(13, patch)
        assert run("stopped").interrupted
    assert same(whole, run("stopped", resume=True))
    plain = base.settings("adapt", SMALL)
    without = adapt(base, corpus, plain, tmp_path / "plain", replay, old=corpus.train)
    assert not same(whole, without)
    with pytest.raises(ConfigError, match="'unigram_alpha' draws sub-words"):
        other = base.settings("adapt", {**SMALL, "unigram_alpha": 0.3})
        adapt(base, corpus, other, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_a_range_test_draws_too(corpora: dict[str, Corpus]) -> None:
    settings = Settings(**{**SMALL, **DRAWN["bpe"]})
    drawn = range_test(corpora["bpe"], settings, steps=10)
    plain = range_test(corpora["bpe"], Settings(**SMALL), steps=10)
    assert not np.array_equal(drawn.losses, plain.losses)
