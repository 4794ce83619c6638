"""The search, the ladder it finds, and the files that keep it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import FolderError, InputError
from keras_rnnlm.language_model import LanguageModel, load
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.climbing import climb
from keras_rnnlm.scoring.ensemble import Member, weights_hash
from keras_rnnlm.scoring.gate import Gate, fit_gate
from keras_rnnlm.scoring.gate_features import network_features
from keras_rnnlm.scoring.gradient_scale import measure_scale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.mixture_search import MixtureSearch
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.pass_lines import logs_of, plain_line
from keras_rnnlm.scoring.passes import PassScores, StaticReader, run_pass
from keras_rnnlm.scoring.search import SEGMENTS, Search, search
from keras_rnnlm.scoring.system import (
    PROJECTIONS,
    Experts,
    Sources,
    evaluate_lines,
)
from keras_rnnlm.scoring.temperature import GRID
from keras_rnnlm.scoring.tuned import MODEL, Line, Tuned
from keras_rnnlm.scoring.tuned_files import read_tuned
from keras_rnnlm.training.train import train

ENOUGH = 600.0  # seconds: what there is to try ends long before, on any machine
WORDS = ["tea", "sun", "sea", "cat", "dog", "sky", "owl", "fox", "elm", "oak"]


def story(lines: int, seed: int) -> str:
    """Lines about few things at a time, as cache and learning like it."""
    rng = np.random.default_rng(seed)
    written = []
    for _ in range(lines // 10):
        topic = rng.choice(WORDS, 3)
        written += [" ".join(rng.choice(topic, 6)) + "\n" for _ in range(10)]
    return "".join(written).rstrip("\n")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus.from_texts(
        [story(200, 0)], valid=[story(60, 1)], test=[story(40, 2)], tokenizer="word"
    )


@pytest.fixture(scope="module")
def network(corpus: Corpus) -> RNNLM:
    return RNNLM(corpus.vocabulary_size, units=8, layers=1, dropout=0.1, seed=3)


@pytest.fixture(scope="module")
def tuned(corpus: Corpus, network: RNNLM) -> Tuned:
    ngram = NGramModel.fit(corpus.train, corpus.vocabulary_size, 3)
    sources = Sources(network, measure_scale(network, corpus.train), ngram)
    return search(sources, corpus.valid, ENOUGH, passes=2)


def test_every_line_gains_on_validation_text_and_on_other_text(
    tuned: Tuned, corpus: Corpus, network: RNNLM
) -> None:
    names = [line.name for line in tuned.lines]
    assert names[:2] == ["temperature", "dynamic"]
    losses = [tuned.record["losses"][name] for name in ["static", *names]]
    assert losses == sorted(losses, reverse=True)
    assert tuned.record["trials"]
    mixed_in = any("ngram" in line.weights for line in tuned.lines)
    assert (tuned.ngram is not None) == mixed_in
    sources = Sources(network, tuned.scale, tuned.ngram)
    found = evaluate_lines(sources, corpus.valid, [Line("static"), *tuned.lines])
    for report, loss in zip(found, losses, strict=True):
        assert report.figures["loss"] == pytest.approx(loss, abs=2e-3)
        assert report.seconds > 0
    test = evaluate_lines(sources, corpus.test, [Line("static"), *tuned.lines])
    assert test[-1].perplexity < 0.8 * test[0].perplexity


def test_experts_that_hold_are_mixed_in_one_by_one(
    corpus: Corpus, network: RNNLM
) -> None:
    """Three words at a time: a cache knows which, the network does not."""
    assert corpus.valid is not None
    caches = [CacheSettings(100, theta) for theta in (0.01, 1.0)]
    scores = run_pass(StaticReader(network, GRID), network, corpus.valid, caches)
    bigrams = NGramModel.fit(corpus.train, corpus.vocabulary_size, 2)
    sources = Sources(network, ngram=bigrams)
    alone = Line("temperature", 1.0)
    experts = {MODEL: logs_of(scores, alone, scores.nats.shape[1])}
    found = MixtureSearch(sources, corpus.valid, alone, experts, scores.caches, 0, None)
    found.run(caches)
    names = [line.name for line in found.lines]
    assert names[:2] == ["temperature", "cache"]
    assert list(found.losses) == names[1:]
    mixed = found.lines[-1]
    assert mixed.cache in caches and sum(mixed.weights.values()) == pytest.approx(1)
    (report,) = evaluate_lines(sources, corpus.valid, [mixed])
    assert report.figures["loss"] == pytest.approx(found.losses[mixed.name], abs=1e-6)


def chance(lines: int, seed: int, words: list[str] = WORDS) -> str:
    """Lines in which no word says anything about the next."""
    drawn = np.random.default_rng(seed).choice(words, (lines, 6))
    return "\n".join(" ".join(line) for line in drawn)


def test_what_gains_where_it_was_searched_alone_is_left_out(tmp_path: Path) -> None:
    """A network that knows ten words reads three of them, then all again."""
    found = Corpus.from_texts(
        [chance(400, 0)],
        valid=[f"{chance(200, 1, WORDS[:3])}\n{chance(100, 2)}"],
        tokenizer="word",
    )
    settings = Settings(
        units=8,
        layers=1,
        batch_size=4,
        steps=7,
        dropout=0.0,
        learning_rate=0.02,
        max_steps=300,
        validations=1,
    )
    train(found, settings, tmp_path / "model")
    network = load(tmp_path / "model").network
    assert found.valid is not None
    tuned = search(Sources(network), found.valid, ENOUGH)
    best = min(trial["loss"] for trial in tuned.record["trials"])
    assert best < tuned.record["losses"]["static"] - 0.1
    assert [line.name for line in tuned.lines] == ["temperature"]


def test_a_gate_is_found_kept_and_used(
    corpus: Corpus, network: RNNLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_rnnlm.scoring.mixture_search.LEAST_GATED", 100)
    ngram = NGramModel.fit(corpus.train, corpus.vocabulary_size, 2)
    lm = LanguageModel(network, corpus.tokenizer)
    found = lm.tune_evaluation(corpus.valid, seconds=1.0, ngram=ngram)
    line = found.system
    if line.gate is None:  # whether it helps hangs on what the time allowed
        logs = Experts(Sources(network, ngram=ngram), corpus.valid, [line])
        fit = fit_gate(list(logs.of(line)[0].values()), logs.features(line))
        line = dataclasses.replace(line, name="gate", gate=fit.gate.to_dict())
        found = dataclasses.replace(found, lines=(*found.lines, line))
    lm.tuned = found
    lm.save(tmp_path / "model")
    again = load(tmp_path / "model")
    report = again.evaluate_additions(corpus.test, system=True)[-1]
    assert report.line == line
    experts = Experts(Sources(network, ngram=ngram), corpus.test, [line])
    arrays = [experts.of(line)[0][name] for name in line.weights]
    own = network_features(network, corpus.test, PROJECTIONS)
    known = ngram.context_features(corpus.test)
    features = np.concatenate([own, known], axis=1) if "ngram" in line.weights else own
    assert line.gate is not None
    weights = np.exp(Gate.from_dict(dict(line.gate)).log_weights(features))
    p = (weights * np.exp(arrays)).sum(axis=0)
    assert report.figures["nats"] == pytest.approx(-np.log(p).sum(), rel=1e-5)


def test_an_ngram_model_that_no_line_mixes_in_is_not_kept(
    corpus: Corpus, network: RNNLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    ngram = NGramModel.fit(corpus.train, corpus.vocabulary_size, 2)
    monkeypatch.setattr(MixtureSearch, "run", lambda self, caches: None)
    found = search(Sources(network, ngram=ngram), corpus.valid, 1.0)
    assert found.ngram is None


def test_text_of_another_tokenizer_is_refused_before_it_is_read(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*given: object) -> None:
        pytest.fail("the text was read")

    monkeypatch.setattr(StaticReader, "read", read)
    network = RNNLM(4, units=8, layers=1)
    with pytest.raises(InputError, match="with the tokenizer of this network"):
        search(Sources(network), corpus.valid, 1.0)


def test_a_climb_finds_the_top() -> None:
    asked = []

    def gain(settings: DynamicSettings) -> float:
        asked.append(settings.decay)
        return -abs(settings.decay - 0.3)

    candidates = [DynamicSettings(decay=i / 10) for i in range(9)]
    assert climb(candidates, 1, gain).decay == 0.3
    assert asked == [0.1, 0.2, 0.3, 0.4]
    for place in range(9):
        assert climb(candidates, place, gain).decay == 0.3
        assert abs(climb(candidates, place, gain, 2).decay - 0.3) <= 0.1001


def test_a_climb_begins_below_what_goes_astray() -> None:
    candidates = [DynamicSettings(rate=i / 10) for i in range(9)]

    def gain(settings: DynamicSettings) -> float:
        return -np.inf if settings.rate > 0.3 else settings.rate

    assert climb(candidates, 7, gain, 2).rate == 0.3
    assert climb(candidates, 6, gain).rate == 0.3
    assert climb(candidates, 8, lambda settings: -np.inf, 2) in candidates


def test_segments_are_as_long_as_the_speed_wants(
    corpus: Corpus, network: RNNLM
) -> None:
    def segments(least_speed: float) -> set[int]:
        sources = Sources(network)
        found = search(sources, corpus.valid, 2.0, least_speed=least_speed)
        return {int(trial["segment"]) for trial in found.record["trials"]}

    assert 20 in segments(0.0)
    assert segments(float("inf")) == {SEGMENTS[-1]}


def test_shorter_segments_have_to_be_quick_enough_too(
    corpus: Corpus, network: RNNLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(least_speed: float) -> set[int]:
        found = search(Sources(network), corpus.valid, ENOUGH, least_speed=least_speed)
        return {int(trial["segment"]) for trial in found.record["trials"]}

    # A machine that takes as long for any segment.
    monkeypatch.setattr(Search, "_speed", lambda self, form: 10.0 * form.segment)
    shortest = min(tried(1.0))
    assert shortest < 20
    assert min(tried(10.0 * shortest + 1)) == 2 * shortest


def test_passes_of_dropout_and_members_have_their_time_too(
    corpus: Corpus, network: RNNLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(members: int, least_speed: float) -> Search:
        sources = Sources(network, members=("",) * members)  # type: ignore[arg-type]
        made = Search(sources, corpus.valid, 10.0, 20, None, least_speed)
        made._static_speed = 8000.0
        return made

    monkeypatch.setattr(Search, "_left", lambda self: 10.0)
    monkeypatch.setattr(Search, "_speed", lambda self, form: 1000.0)
    assert found(0, 0.0)._affordable_passes() == 20
    # All of them are to be twice as quick as dynamic evaluation.
    assert found(0, 1000.0)._affordable_passes() == 4
    assert found(0, 5000.0)._affordable_passes() == 0
    line = Line("temperature", 1.0)
    assert found(0, 0.0)._mixable(line, 50_000, 0) == 50_000
    assert found(0, 0.0)._mixable(line, 50_000, 4) == 20_000
    assert found(1, 0.0)._mixable(line, 50_000, 4) == 16_000
    learning = Line("dynamic", 1.0, DynamicSettings())
    assert found(4, 0.0)._mixable(learning, 50_000, 0) == 2_500
    assert found(4, 0.0)._mixable(learning, 50_000, 400) == 2_000


def test_a_temperature_that_does_not_hold_is_one() -> None:
    rng = np.random.default_rng(0)
    tried = np.array(GRID)
    first, rest = (1.0 / tried - 1) ** 2, (tried - 1.0) ** 2
    noise = rng.normal(0, 0.01, (1, 3000))

    def scores(tail: np.ndarray) -> PassScores:
        nats = np.concatenate(
            [np.tile(-0.1 * tried, (2000, 1)), np.tile(tail, (1000, 1))]
        ).T
        return PassScores(nats + first[:, None] + noise, np.empty((0, 3000)), 0.0, 0.0)

    assert plain_line(scores(rest), 3000).temperature == 1
    assert plain_line(scores(-0.1 * tried), 3000).temperature > 1


def test_members_without_settings_cannot_learn_in_the_scaled_form(
    corpus: Corpus, network: RNNLM
) -> None:
    lm = LanguageModel(network, corpus.tokenizer)
    other = RNNLM(corpus.vocabulary_size, units=8, layers=1, seed=9)
    members = [LanguageModel(other, corpus.tokenizer)]

    def worked(*told: object) -> None:
        pytest.fail(f"it was {told[0]} before it was refused")

    with pytest.raises(InputError, match="with --train"):
        lm.tune_evaluation(
            corpus.valid, corpus.train, ensemble=members, progress=worked
        )


def test_a_scale_whose_arrays_lie_transposed_is_kept_whole(
    tuned: Tuned, corpus: Corpus, network: RNNLM, tmp_path: Path
) -> None:
    measured = measure_scale(network, corpus.train)
    turned = {name: np.asfortranarray(a) for name, a in measured.named.items()}
    scale = dataclasses.replace(measured, named=turned)
    lm = LanguageModel(network, corpus.tokenizer)
    lm.tuned = dataclasses.replace(tuned, scale=scale)
    lm.save(tmp_path / "model")
    again = load(tmp_path / "model").tuned
    assert again is not None and again.scale is not None
    assert again.scale.seconds > 0  # of reading it
    for name, array in measured.named.items():
        np.testing.assert_array_equal(again.scale.named[name], array)


def test_settings_live_in_the_folder_of_the_model(
    tuned: Tuned, corpus: Corpus, network: RNNLM, tmp_path: Path
) -> None:
    lm = LanguageModel(network, corpus.tokenizer)
    lm.save(tmp_path / "old")
    assert load(tmp_path / "old").tuned is None
    with pytest.raises(InputError, match="tune-evaluation"):
        load(tmp_path / "old").evaluate_additions(corpus.test, system=True)

    lm.tuned = tuned
    lm.save(tmp_path / "new")
    again = load(tmp_path / "new")
    assert again.tuned is not None
    assert again.tuned.lines == tuned.lines
    assert again.tuned.record == json.loads(json.dumps(tuned.record))
    first = lm.evaluate_additions(corpus.test, system=True)
    second = again.evaluate_additions(corpus.test, system=True)
    for one, other in zip(first, second, strict=True):
        # An ARPA file holds its logarithms in decimal digits.
        assert other.figures["nats"] == pytest.approx(one.figures["nats"], rel=1e-5)
    # The static figure is what it was.
    assert again.evaluate(corpus.test).nats == lm.evaluate(corpus.test).nats


def test_damaged_settings_and_those_of_other_weights(
    tuned: Tuned, corpus: Corpus, tmp_path: Path
) -> None:
    other = RNNLM(corpus.vocabulary_size, units=8, layers=1, seed=4)
    lm = LanguageModel(other, corpus.tokenizer)
    lm.tuned = tuned
    with pytest.raises(InputError, match="searched for others"):
        lm.evaluate_additions(corpus.test, dynamic=True)
    lm.save(tmp_path / "model")  # what is worth nothing is left out
    assert load(tmp_path / "model").tuned is None

    lm.tuned = Tuned(tuned.lines[:1], weights_hash(other))
    lm.save(tmp_path / "model")
    path = tmp_path / "model" / "evaluation.json"
    path.write_text(path.read_text().replace("temperature", "temperatura", 1))
    broken = load(tmp_path / "model")
    assert broken.evaluate(corpus.test).nats > 0  # which needs none of it
    with pytest.raises(FolderError, match="damaged"):
        broken.evaluate_additions(corpus.test, dynamic=True)
    path.unlink()
    assert read_tuned(tmp_path / "model", corpus.tokenizer) is None


def test_an_ensemble_is_the_mean_of_its_members(corpus: Corpus) -> None:
    models = [
        LanguageModel(
            RNNLM(corpus.vocabulary_size, units=8, layers=1, seed=seed),
            corpus.tokenizer,
        )
        for seed in (5, 6, 7)
    ]
    (report,) = models[0].evaluate_additions(corpus.test, ensemble=models[1:])
    p = np.mean([probabilities(m.network, corpus.test) for m in models], axis=0)
    assert report.figures["nats"] == pytest.approx(-np.log(p).sum(), rel=1e-6)
    assert sorted(report.line.weights.values()) == pytest.approx([1 / 3] * 3)


def test_searched_weights_know_a_member_by_its_weights(corpus: Corpus) -> None:
    first, second, third = (
        LanguageModel(
            RNNLM(corpus.vocabulary_size, units=8, layers=1, seed=seed),
            corpus.tokenizer,
        )
        for seed in (5, 6, 7)
    )
    (alone,) = first.evaluate_additions(corpus.test, temperature=1.0)
    member = Member(second.network)
    weights = {"model": 0.3, member.name: 0.7}
    hashed = weights_hash(first.network)
    first.tuned = Tuned((Line("ensemble", weights=weights),), hashed)
    (found,) = first.evaluate_additions(corpus.test, system=True, ensemble=[second])
    p = 0.3 * probabilities(first.network, corpus.test)
    p += 0.7 * probabilities(second.network, corpus.test)
    assert found.figures["nats"] == pytest.approx(-np.log(p).sum(), rel=1e-6)
    assert found.figures["nats"] != alone.figures["nats"]
    with pytest.raises(InputError, match="no part in them"):
        first.evaluate_additions(corpus.test, system=True, ensemble=[third])
    with pytest.raises(InputError, match="no other model"):
        first.evaluate_additions(corpus.test, system=True)


def probabilities(network: RNNLM, text: EncodedText) -> np.ndarray:
    inputs = np.asarray(text.ids[None, :-1], np.int32)
    logs, _ = network.step(inputs, network.initial_state(1))
    rows = ops.convert_to_numpy(logs)[0].astype(np.float64)
    return np.exp(rows[np.arange(len(rows)), text.ids[1:]])


def test_members_of_other_tokens(corpus: Corpus) -> None:
    lm = LanguageModel(
        RNNLM(corpus.vocabulary_size, units=4, layers=1), corpus.tokenizer
    )
    for texts in (["tea sun moon"], [story(200, 0).replace("tea", "ink")]):
        other = Corpus.from_texts(texts, tokenizer="word")
        stranger = LanguageModel(
            RNNLM(other.vocabulary_size, units=4, layers=1), other.tokenizer
        )
        with pytest.raises(InputError, match="the same tokenizer"):
            lm.evaluate_additions(corpus.test, ensemble=[stranger])
