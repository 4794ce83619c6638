"""What a line costs: reading the text, and making ready what it adds."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.language_model import LanguageModel, load
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.scoring.arpa import read_arpa
from keras_rnnlm.scoring.ensemble import Member
from keras_rnnlm.scoring.gradient_scale import GradientScale, measure_scale
from keras_rnnlm.scoring.kneser_ney import estimate
from keras_rnnlm.scoring.learning import DynamicSettings, add_squares
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.stored_ngram import StoredNGram, read_checked
from keras_rnnlm.scoring.system import Sources, evaluate_lines
from keras_rnnlm.scoring.tuned import Line, Tuned
from tests.scoring.texts import encoded, shared_network, small_network

V = 23
SCALED = DynamicSettings(0.1, segment=8, scaled=True)
LINES = ["a b c d", "d c b a", "a a b b c"]
LATE = 0.05  # seconds that a function is made slower by


def some_text() -> EncodedText:
    return encoded([np.random.default_rng(0).integers(0, V, 40)], line_end=0)


def scale_of(network: RNNLM, seconds: float) -> GradientScale:
    ones = {n: np.ones(a.shape, np.float32) for n, a in weight_arrays(network).items()}
    return GradientScale(ones, seconds)


def slow(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        time.sleep(LATE)
        return function(*given)

    return call


# Seconds that no test takes: 4000 of a scale, 700 of an n-gram model or a folder.


def test_a_line_has_the_time_of_making_ready_what_it_adds() -> None:
    network, text = shared_network(V), some_text()
    ngram = replace(NGramModel.fit(text, V, 2), seconds=700.0)
    sources = Sources(network, scale_of(network, 4000.0), ngram)
    both = {"model": 0.5, "ngram": 0.5}
    lines = [
        Line("static"),
        Line("dynamic", dynamic=SCALED),
        Line("ngram", dynamic=SCALED, weights=both),
        Line("ngram", dynamic=SCALED, weights={"model": 0.7, "ngram": 0.3}),
    ]
    reports = evaluate_lines(sources, text, lines)
    plain, learning, mixed, again = (r.preparation_seconds for r in reports)
    assert plain == 0.0
    assert 4000 < learning < 4700  # the scale, and the weights that learn
    assert mixed == 700.0
    assert again == 0.0  # nothing more than the line above it
    # Reading the text is told apart from it.
    assert all(0 < report.seconds < 700 for report in reports)
    stored = reports[2].to_dict()
    assert stored["preparation_seconds"] == 700.0
    assert stored["seconds"] == reports[2].seconds
    # Without lines above it, a line has made all of it ready.
    (alone,) = evaluate_lines(sources, text, lines[2:3])
    assert 4700 < alone.preparation_seconds < 5400


def test_what_is_not_scaled_needs_no_scale() -> None:
    network, text = shared_network(V), some_text()
    line = Line("dynamic", dynamic=replace(SCALED, scaled=False))
    sources = Sources(network, scale_of(network, 4000.0))
    (report,) = evaluate_lines(sources, text, [line])
    assert 0 < report.preparation_seconds < 4000


def test_a_member_brings_its_folder_and_its_own_scale() -> None:
    network, other, text = shared_network(V), small_network(V, seed=2), some_text()
    plain = replace(SCALED, scaled=False)
    own = Line("dynamic", dynamic=SCALED)
    for tuned, dynamic, least in (
        (None, None, 700.0),
        (Tuned((own,), "hash", scale=scale_of(other, 4000.0)), plain, 4700.0),
    ):
        member = Member(other, tuned, 700.0)
        weights = {"model": 0.5, member.name: 0.5}
        lines = [
            Line("dynamic" if dynamic else "static", dynamic=dynamic),
            Line("ensemble", dynamic=dynamic, weights=weights),
        ]
        sources = Sources(network, members=(member,))
        _, report = evaluate_lines(sources, text, lines)
        if dynamic is None:
            assert report.preparation_seconds == least
        else:
            assert least < report.preparation_seconds < least + 700


def test_a_model_from_a_folder_says_how_long_it_was_read(tmp_path: Path) -> None:
    tokenizer = Corpus.from_texts(LINES, tokenizer="word").tokenizer
    size, text = tokenizer.vocabulary_size, encode_texts(LINES, tokenizer)
    lm, other = (
        LanguageModel(RNNLM(size, units=8, layers=1, seed=seed), tokenizer)
        for seed in (0, 1)
    )
    (made,) = lm.evaluate_additions(text, ensemble=[other])
    assert made.preparation_seconds == 0.0
    folder = other.save(tmp_path / "other")
    (read,) = lm.evaluate_additions(text, ensemble=[load(folder)])
    assert read.preparation_seconds > 0
    assert read.perplexity == pytest.approx(made.perplexity, rel=1e-6)


def test_an_ngram_model_knows_how_long_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "keras_rnnlm.scoring.ngram"
    tokenizer = Corpus.from_texts(LINES, tokenizer="word").tokenizer
    text = encode_texts(LINES, tokenizer)
    monkeypatch.setattr(f"{module}.estimate", slow(estimate))
    counted = NGramModel.fit(text, tokenizer.vocabulary_size, 2)
    assert counted.seconds >= LATE

    path = tmp_path / "ngram.arpa"
    counted.write_arpa(path, tokenizer)
    monkeypatch.setattr(f"{module}.read_arpa", slow(read_arpa))
    assert NGramModel.read_arpa(path, tokenizer).seconds >= LATE
    # In a model folder it is checked as well.
    stored = "keras_rnnlm.scoring.stored_ngram.read_checked"
    monkeypatch.setattr(stored, slow(read_checked))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    source = StoredNGram(path, sha256, tokenizer)
    model = source.model()
    assert model.seconds >= 2 * LATE
    assert source.model() is model  # read once, and it says so each time


def test_a_scale_knows_how_long_it_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = "keras_rnnlm.scoring.gradient_scale.add_squares"
    monkeypatch.setattr(place, slow(add_squares))
    assert measure_scale(shared_network(V), some_text()).seconds >= LATE
