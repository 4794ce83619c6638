"""An ensemble evaluated as one: every line has all models, each by its own weights."""

from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError, FolderError, InputError
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring.dynamic import DynamicReader
from keras_rnnlm.scoring.ensemble import Member, hash_of_all
from keras_rnnlm.scoring.ensemble_search import EnsembleSearch, equal_weights
from keras_rnnlm.scoring.gradient_scale import GradientScale, measure_scale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.passes import Reader, StaticReader, run_pass
from keras_rnnlm.scoring.search import RATE
from keras_rnnlm.scoring.system import Sources
from keras_rnnlm.scoring.tuned import MEMBER, MODEL, Line, Tuned
from keras_rnnlm.scoring.tuned_ensemble import TunedEnsemble
from keras_rnnlm.scoring.tuned_files import write_tuned
from tests.scoring.test_search import ENOUGH, story

LEARNING = DynamicSettings(rate=0.5, decay=0.01, segment=5, scaled=True)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus.from_texts(
        [story(100, 0)], valid=[story(40, 1)], test=[story(20, 2)], tokenizer="word"
    )


@pytest.fixture(scope="module")
def models(corpus: Corpus) -> list[LanguageModel]:
    return [
        LanguageModel(
            RNNLM(corpus.vocabulary_size, units=8, layers=1, seed=seed),
            corpus.tokenizer,
        )
        for seed in (5, 6, 7)
    ]


@pytest.fixture(scope="module")
def scales(models: list[LanguageModel], corpus: Corpus) -> list[GradientScale]:
    return [measure_scale(model.network, corpus.train) for model in models]


@pytest.fixture
def tuned(models: list[LanguageModel], scales: list[GradientScale]) -> Tuned:
    """Two lines that were not searched, of a temperature and of learning."""
    networks = [model.network for model in models]
    members = tuple(Member(network) for network in networks[1:])
    shares = equal_weights(Sources(networks[0], members=members))
    lines = (
        Line("temperature", 1.2, weights=shares),
        Line("dynamic", 0.9, LEARNING, weights=shares),
    )
    return Tuned(
        lines,
        hash_of_all(networks),
        scale=scales[0],
        member_scales=tuple(scales[1:]),
    )


@pytest.fixture
def ensemble(models: list[LanguageModel], tuned: Tuned) -> TunedEnsemble:
    found = TunedEnsemble(models)
    found.tuned = tuned
    return found


def mean(readers: list[Reader], networks: list[RNNLM], text: EncodedText) -> float:
    """Return the nats of the mean of what readers say of the targets of a text."""
    logs = [
        -run_pass(reader, network, text).nats[0]
        for reader, network in zip(readers, networks, strict=True)
    ]
    return -float(np.log(np.mean(np.exp(logs), axis=0)).sum())


def test_each_line_is_the_mean_of_all_models(
    ensemble: TunedEnsemble,
    models: list[LanguageModel],
    scales: list[GradientScale],
    corpus: Corpus,
) -> None:
    assert corpus.test is not None
    lines = ensemble.evaluate_additions(corpus.test, static=True, system=True)
    assert [line.line.name for line in lines] == ["static", "temperature", "dynamic"]
    networks = [model.network for model in models]
    plain: list[Reader] = [StaticReader(network) for network in networks]
    warm: list[Reader] = [StaticReader(network, (1.2,)) for network in networks]
    learning: list[Reader] = [
        DynamicReader(network, LEARNING, scale, (0.9,))
        for network, scale in zip(networks, scales, strict=True)
    ]
    for line, readers in zip(lines, (plain, warm, learning), strict=True):
        wanted = mean(readers, networks, corpus.test)
        assert line.figures["nats"] == pytest.approx(wanted, rel=1e-5)
    nats = {line.figures["nats"] for line in lines}
    assert len(nats) == 3


def test_single_additions_are_of_all_models_with_what_was_found(
    ensemble: TunedEnsemble,
    models: list[LanguageModel],
    scales: list[GradientScale],
    corpus: Corpus,
) -> None:
    assert corpus.test is not None
    lines = ensemble.evaluate_additions(corpus.test, dynamic=True, cache=True)
    assert [line.line.name for line in lines] == ["dynamic", "cache"]
    assert all(line.line.dynamic == LEARNING for line in lines)
    networks = [model.network for model in models]
    learning: list[Reader] = [
        DynamicReader(network, LEARNING, scale)
        for network, scale in zip(networks, scales, strict=True)
    ]
    wanted = mean(learning, networks, corpus.test)
    assert lines[0].figures["nats"] == pytest.approx(wanted, rel=1e-5)
    weights = dict(lines[1].line.weights)
    assert weights.pop("cache") == pytest.approx(0.1)
    assert list(weights.values()) == pytest.approx([0.3] * 3)
    with pytest.raises(ConfigError, match="received also dynamic, weights"):
        ensemble.evaluate_additions(
            corpus.test, system=True, dynamic=True, weights={"cache": 0.1}
        )
    # Without anything found, with defaults.
    ensemble.tuned = None
    (line,) = ensemble.evaluate_additions(corpus.test, dynamic=True)
    assert line.line.dynamic == DynamicSettings()
    assert list(line.line.weights.values()) == pytest.approx([1 / 3] * 3)


def test_every_line_of_the_search_has_all_models_and_gains(
    models: list[LanguageModel], corpus: Corpus
) -> None:
    ensemble = TunedEnsemble(models)
    ngram = NGramModel.fit(corpus.train, corpus.vocabulary_size, 2)
    found = ensemble.tune_evaluation(
        corpus.valid, corpus.train, seconds=ENOUGH, ngram=ngram
    )
    assert found is ensemble.tuned
    names = [line.name for line in found.lines]
    assert names[0] == "temperature" and "ensemble" not in names
    for line in found.lines:
        networks = [who for who in line.weights if who.startswith((MODEL, MEMBER))]
        assert len(networks) == 3
    losses = [found.record["losses"][name] for name in ["static", *names]]
    assert losses == sorted(losses, reverse=True)
    lines = ensemble.evaluate_additions(corpus.valid, static=True, system=True)
    for line, loss in zip(lines, losses, strict=True):
        assert line.figures["loss"] == pytest.approx(loss, abs=2e-3)
    scaled = any(line.dynamic and line.dynamic.scaled for line in found.lines)
    assert (found.scale is not None) == scaled
    assert len(found.member_scales) == (2 if scaled else 0)


def test_what_was_found_lies_in_the_folder_of_the_ensemble(
    models: list[LanguageModel], tuned: Tuned, corpus: Corpus, tmp_path: Path
) -> None:
    ensemble = TunedEnsemble(models)
    ensemble.tuned = tuned
    wanted = ensemble.evaluate_additions(corpus.test, static=True, system=True)
    write_tuned(tmp_path, tuned, corpus.tokenizer)
    again = TunedEnsemble(models)
    again.read_tuned_from(tmp_path)
    assert again.tuned is not None and again.tuned.lines == tuned.lines
    found = again.evaluate_additions(corpus.test, static=True, system=True)
    for one, other in zip(found, wanted, strict=True):
        assert one.figures["nats"] == pytest.approx(other.figures["nats"], rel=1e-6)
    for others in (models[::-1], models[:2]):
        with pytest.raises(InputError, match="searched for others"):
            TunedEnsemble(others).read_tuned_from(tmp_path)
    path = tmp_path / "evaluation.json"
    path.write_text(path.read_text().replace("temperature", "temperatura", 1))
    with pytest.raises(FolderError, match="damaged"):
        again.read_tuned_from(tmp_path)
    path.unlink()
    again.read_tuned_from(tmp_path)
    assert again.tuned is None
    with pytest.raises(InputError, match="tune-evaluation"):
        again.evaluate_additions(corpus.test, system=True)


def test_scales_of_another_number_of_models_are_refused(
    models: list[LanguageModel], tuned: Tuned, corpus: Corpus, tmp_path: Path
) -> None:
    cut = Tuned(tuned.lines, tuned.weights_hash, scale=tuned.scale)
    write_tuned(tmp_path, cut, corpus.tokenizer)
    with pytest.raises(FolderError, match="gradients of 1 models, expected 3"):
        TunedEnsemble(models).read_tuned_from(tmp_path)


def test_models_that_are_no_ensemble(models: list[LanguageModel]) -> None:
    with pytest.raises(InputError, match="received none"):
        TunedEnsemble([])
    with pytest.raises(InputError, match="members 1 and 3"):
        TunedEnsemble([*models[:2], models[0]])
    other = Corpus.from_texts(["tea sun moon"], tokenizer="word")
    stranger = LanguageModel(
        RNNLM(other.vocabulary_size, units=8, layers=1), other.tokenizer
    )
    with pytest.raises(InputError, match="the same tokenizer"):
        TunedEnsemble([models[0], stranger])


def test_all_models_have_to_be_read_in_the_time(
    models: list[LanguageModel], corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert corpus.valid is not None
    first, *others = (model.network for model in models)
    sources = Sources(first, members=tuple(Member(network) for network in others))
    made = EnsembleSearch(sources, corpus.valid, 10.0, 0, None, 100.0)
    # A machine that takes as long for any segment.
    monkeypatch.setattr(EnsembleSearch, "_speed", lambda self, form: 10 * form.segment)
    form, speed = made._first_form(DynamicSettings(rate=RATE))
    assert (form.segment, speed) == (40, 400)
    # Nothing of them is left to be read for the mixture; passes of dropout are.
    monkeypatch.setattr(EnsembleSearch, "_left", lambda self: 10.0)
    made._static_speed = 8000.0
    line = Line("temperature", 1.0)
    assert made._mixable(line, 50_000, 0) == 50_000
    assert made._mixable(line, 50_000, 4) == 20_000
