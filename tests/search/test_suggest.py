"""Suggested settings: rules, cost of a width, the whole."""

import math

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.processor import usual_precision
from keras_rnnlm.search import cost, reasons, rules
from keras_rnnlm.search import suggest as suggest_module
from keras_rnnlm.search.cost import cost_between, products
from keras_rnnlm.search.suggest import suggest
from keras_rnnlm.training.throughput import tokens_per_second

LINES = [f"the {a} {b} the {c}" for a in "abcd" for b in "efgh" for c in "ijkl"] * 4


@pytest.fixture(scope="module")
def corpus():
    return Corpus.from_texts(LINES[:-20], LINES[-20:], tokenizer="char")


@pytest.fixture(scope="module")
def words():
    """More different words than there are letters of alphabets."""
    rows = np.arange(1500).reshape(100, 15)
    lines = [" ".join(f"w{number}" for number in row) for row in rows]
    return Corpus.from_texts(lines * 3, lines[:10], tokenizer="word")


@pytest.fixture
def known_machine(monkeypatch):
    """A machine that trains every network with 10,000 tokens a second."""
    monkeypatch.setattr(cost, "tokens_per_second", lambda *_: 1e4)


def reason_of(found, name):
    """Return why a setting was chosen."""
    (reason,) = [c.reason for c in found.choices if name in c.settings]
    return reason


@pytest.fixture(scope="module")
def suggestion(corpus):
    return suggest(corpus, 0.5, seconds=0.05)


def test_a_suggestion_can_be_trained_with_as_it_is(corpus, suggestion):
    settings = suggestion.settings
    assert settings.minutes == 0.5
    assert settings == Settings.from_dict(settings.to_dict())
    assert tokens_per_second(corpus, settings, seconds=0.05) > 0


def test_each_setting_that_is_not_by_default_has_a_reason(suggestion):
    default = Settings().to_dict()
    said = {name for choice in suggestion.choices for name in choice.settings}
    changed = {k for k, v in suggestion.settings.to_dict().items() if v != default[k]}
    assert changed - {"minutes"} <= said
    for choice in suggestion.choices:
        assert choice.reason.endswith(".")
        for name, value in choice.settings.items():
            assert getattr(suggestion.settings, name) == value


def test_of_a_vectors_file_the_width_alone_is_read(words, tmp_path, monkeypatch):
    path = tmp_path / "vectors.txt"
    path.write_text("1 24\nnone " + " ".join(["0.5"] * 24) + "\n", encoding="utf-8")
    seen = []

    def rate(corpus, settings, seconds):
        seen.append((settings.vectors, settings.embedding))
        return 1e4

    monkeypatch.setattr(cost, "tokens_per_second", rate)
    fixed = {"vectors": str(path), "vectors_case": "lower", "vectors_frozen": True}
    settings = suggest(words, 0.5, fixed=fixed).settings
    assert set(seen) == {(None, 24)}
    assert (settings.vectors, settings.vectors_case) == (str(path), "lower")
    assert (settings.vectors_frozen, settings.embedding) == (True, None)


def test_figures_are_those_of_the_text_and_the_machine(corpus, suggestion):
    assert suggestion.facts.tokens == corpus.train.counts.tokens_predicted
    assert suggestion.passes == suggestion.tokens / suggestion.facts.tokens
    assert set(suggestion.cost.measured) == {128, 384}
    assert all(rate > 0 for rate in suggestion.cost.measured.values())
    as_json = suggestion.to_dict()
    assert as_json["settings"] == suggestion.settings.to_dict()
    assert as_json["range_test"] is None


def test_what_is_given_is_not_chosen(corpus, known_machine):
    fixed = {"units": 48, "cell": "mgu", "precision": "float32", "batch_size": 3}
    found = suggest(corpus, 0.5, fixed=fixed)
    for name, value in fixed.items():
        assert getattr(found.settings, name) == value
    (given,) = [c for c in found.choices if c.reason == "Given, not chosen."]
    assert dict(given.settings) == fixed


@pytest.mark.parametrize("over", [19, 21])
def test_what_takes_long_to_measure_is_left_out(corpus, monkeypatch, over):
    measured = []

    def rate(corpus, settings, seconds):
        measured.append((settings.precision, settings.units))
        return 1e4

    monkeypatch.setattr(cost, "tokens_per_second", rate)
    found = suggest(corpus, 1, spent=lambda: over)
    if over < 20:  # a third of the minute
        assert len(measured) == 3
        assert set(found.cost.measured) == {128, 384}
        return
    assert measured == [(found.settings.precision, 384)]
    assert found.settings.precision == usual_precision()
    assert "no time to compare" in reason_of(found, "precision")


def test_a_range_test_chooses_the_rate(corpus, known_machine):
    found = suggest(
        corpus,
        0.5,
        fixed={"units": 16, "precision": "float32"},
        with_range_test=True,
    )
    assert found.range_test is not None
    rate = rules.rate_of_range_test(found.range_test.lowest, "adam")
    assert found.settings.learning_rate == rate


def test_settings_that_cannot_be_are_refused(corpus, known_machine):
    with pytest.raises(ConfigError, match="units"):
        suggest(corpus, 1, fixed={"units": 0})


@pytest.mark.parametrize("vocabulary", [65, 10_000])
@pytest.mark.parametrize("faster", [1, 10, 1000])
def test_more_time_is_never_narrower(vocabulary, faster):
    def seen_with(time):
        return lambda u: time * 1e9 / (u * u + 1e4)

    widths = [rules.units(vocabulary, 1e9, seen_with(faster * t)) for t in (1, 2, 8)]
    assert widths == sorted(widths)
    assert all(width in rules.WIDTHS for width in widths)


def test_a_short_text_bounds_the_width():
    def endless(units):
        return 1e15

    assert rules.units(65, 1_000, endless) ** 2 <= rules.SQUARE_PER_TOKEN * 1_000
    assert rules.units(65, 1, endless) == rules.WIDTHS[0]


@pytest.mark.parametrize("vocabulary", [65, 10_000])
def test_dropout_rises_with_the_passes(vocabulary):
    rates = [rules.dropout(vocabulary, passes) for passes in np.geomspace(0.01, 1e4)]
    assert rates == sorted(rates)
    assert rates[0] == 0 < rates[-1] < 1
    assert rules.dropout(vocabulary, 0.0) == 0


@pytest.mark.parametrize("tokens", [1, 100, 10_000, 10_000_000])
def test_lanes_have_windows(tokens):
    lanes = rules.lanes(65, tokens, 1e9)
    assert lanes >= 1
    assert lanes == 1 or tokens / lanes >= 4 * 32


@pytest.mark.parametrize(
    ("size", "fixed"),
    [
        (10_000, {"output": "full"}),
        (10_000, {"output": "mixture"}),
        (10_000, {"output": "adaptive", "tie_weights": False}),
        (65, {"mode": "sentence"}),
    ],
)
def test_what_does_not_go_with_the_given_is_not_chosen(size, fixed):
    chosen = rules.base(size, "word", fixed)
    assert not {"output", "output_samples", "state_reset"} & set(chosen)
    Settings.from_dict({**chosen, **fixed})


def test_time_for_the_system_is_not_for_training(corpus, known_machine):
    fixed = {"units": 64, "system_minutes": 4.0}
    found = suggest(corpus, 5.0, fixed=fixed)
    each = found.cost.seconds(found.settings, corpus.vocabulary_size)
    assert found.tokens * each < 60
    with pytest.raises(ConfigError, match="part of 'minutes'"):
        suggest(corpus, 4.0, fixed=fixed)


def test_a_line_through_two_widths(corpus):
    settings = Settings(layers=1)
    cost = cost_between(corpus, settings, {128: 20_000.0, 384: 5_000.0})
    size = corpus.vocabulary_size
    for units, rate in cost.measured.items():
        seconds = cost.seconds(settings.replace(units=units), size)
        assert 1 / seconds == pytest.approx(rate)
    between = cost.seconds(settings.replace(units=256), size)
    assert 1 / 20_000 < between < 1 / 5_000


@pytest.mark.parametrize("tied", [True, False])
def test_products_are_the_elements_of_the_matrices(tied):
    shape = {"units": 8, "layers": 2, "embedding": 4, "tie_weights": tied}
    network = RNNLM(50, **shape)
    weights = [w for layer in network.recurrent for w in layer.weights]
    matrices = sum(math.prod(w.shape) for w in weights if len(w.shape) == 2)
    output = 50 * (4 if tied else 8)
    vectors = sum(math.prod(w.shape) for w in weights if len(w.shape) == 1)
    counted = products(Settings(**shape), 50)
    projection = 8 * 4 if tied else 0
    # Biases are counted too; they are few.
    assert counted == pytest.approx(matrices + projection + output, abs=vectors + 54)
    sampled = Settings(**shape, output="sampled", output_samples=10)
    assert counted - products(sampled, 50) == 40 * output / 50


@pytest.mark.parametrize("optimizer", ["rmsprop", "Adam", "SGD"])
def test_other_optimizers_have_a_rate_too(corpus, known_machine, optimizer):
    fixed = {"optimizer": optimizer, "units": 16, "precision": "float32"}
    found = suggest(corpus, 0.5, fixed=fixed)
    assert found.settings.learning_rate == (30.0 if optimizer == "SGD" else 0.012)


def test_tokens_are_those_of_the_layers_that_were_chosen(corpus, known_machine):
    found = suggest(corpus, 5.0, fixed={"units": 64})
    assert found.settings.layers == 2
    each = found.cost.seconds(found.settings, corpus.vocabulary_size)
    assert found.tokens * each < 60 * 5.0


@pytest.mark.parametrize(
    ("size", "optimizer", "cell", "layers", "updates", "rate"),
    [
        (10_000, "sgd", "gru", 2, 9000, 20.0),
        (10_000, "sgd", "lstm", 1, 9000, 60.0),
        (10_000, "sgd", "lstm", 2, 9000, 30.0),
        (6_000, "adam", "gru", 2, 0, 0.016),
        (6_000, "adam", "gru", 2, 1800, 0.016),
        (6_000, "adam", "gru", 2, 8000, 0.004),
        (6_000, "adam", "gru", 2, 1e9, 0.002),
        (65, "adam", "lstm", 1, 9000, 0.006),
    ],
)
def test_rates_are_those_of_the_cell_the_text_and_the_time(
    size: int, optimizer: str, cell: str, layers: int, updates: float, rate: float
) -> None:
    settings = Settings(
        optimizer=optimizer, cell=cell, layers=layers, units=512, clip_norm=0.25
    )
    assert rules.learning_rate(size, settings, updates) == rate
    assert reasons.of_rate(size, settings).endswith(".")


def test_cells_by_the_number_of_tokens() -> None:
    assert [rules.cell(size) for size in (65, 10_000)] == ["lstm", "gru"]


def test_words_have_an_lstm_in_long_runs(words, known_machine):
    # 60 minutes are 36 million tokens: 51,000 updates by 20 lanes of 35.
    found = suggest(words, 60)
    settings = found.settings
    assert (settings.cell, settings.layers, settings.learning_rate) == ("lstm", 2, 30.0)
    assert "ahead of the GRU" in reason_of(found, "cell")
    # Six minutes are 5,000 of them: passes enough, but too few updates.
    assert suggest(words, 6).settings.cell == "gru"
    for given in ({"cell": "mgu"}, {"learning_rate": 10.0}, {"optimizer": "adam"}):
        chosen = suggest(words, 60, fixed=given).settings.cell
        assert chosen == given.get("cell", "gru")


def test_a_long_run_is_one_of_a_single_layer(words, known_machine):
    # Measured at one width, a token takes as long as its products: in these minutes
    # one layer has some 9,100 updates, and the two that are chosen have 7,300.
    found = suggest(words, 11.5, fixed={"units": 64})
    assert (found.settings.cell, found.settings.layers) == ("lstm", 2)
    lanes_by_steps = found.settings.batch_size * found.settings.steps
    assert found.tokens / lanes_by_steps < rules.LONG[1]


def test_updates_of_a_long_run_are_those_of_the_given_batches(words, known_machine):
    # 36 million tokens are 51,000 updates by 20 lanes, and 5,100 by 200.
    assert suggest(words, 60, fixed={"batch_size": 20}).settings.cell == "lstm"
    found = suggest(words, 60, fixed={"batch_size": 200})
    assert (found.settings.cell, found.settings.learning_rate) == ("gru", 20.0)
    assert "up to three minutes" in reason_of(found, "cell")


def test_few_passes_are_no_long_run():
    assert rules.is_long(6, 8000)
    assert not rules.is_long(5.9, 1e6)
    assert not rules.is_long(1e3, 7999)


def test_words_have_a_gru_at_its_own_rate(words, known_machine):
    found = suggest(words, 0.5, fixed={"units": 16}).settings
    assert (found.cell, found.optimizer, found.learning_rate) == ("gru", "sgd", 20.0)
    given = {"units": 16, "cell": "lstm"}
    found = suggest(words, 0.5, fixed=given).settings
    assert (found.cell, found.learning_rate) == ("lstm", 30.0)


@pytest.mark.parametrize(
    ("fixed", "chosen"),
    [
        ({"learning_rate": 40.0}, {"cell": "lstm", "optimizer": "sgd"}),
        ({"momentum": 0.9}, {"cell": "gru", "learning_rate": 2.0}),
        ({"clip_norm": 1.0}, {"optimizer": "sgd", "learning_rate": 5.0}),
        ({"clip_norm": 0.0}, {"optimizer": "adam"}),
        ({"clip_norm": 0.0, "optimizer": "sgd"}, {"learning_rate": 1.0}),
        ({"learning_rate": 0.001}, {"optimizer": "adam"}),
        ({"cell": "qrnn"}, {"optimizer": "adam", "layers": 3}),
        ({"cell": "simple_rnn"}, {"optimizer": "adam", "learning_rate": 0.004}),
        ({"cell": "mogrifier_lstm"}, {"learning_rate": 30.0, "layers": 2}),
        ({"schedule": "plateau"}, {"validations": 5}),
        ({"output": "mixture", "mixtures": 2}, {"output": "mixture"}),
        ({"system_minutes": 0.1, "system_passes": 3}, {"system_passes": 3}),
        ({"cell": "slstm", "cell_arguments": {"heads": 5}, "units": 20}, {"units": 20}),
    ],
)
def test_what_is_given_is_known_while_choosing(words, known_machine, fixed, chosen):
    found = suggest(words, 0.5, fixed=fixed).settings
    assert {name: getattr(found, name) for name in chosen} == chosen
    assert found.dropout > 0 or not found.system_passes


def test_a_width_that_does_not_fit_is_not_chosen(words, monkeypatch):
    def check(settings, size, text):
        if settings.units > 96:
            raise ConfigError("does not fit")

    measured = []

    def rate(corpus, settings, seconds):
        measured.append(settings.units)
        return 1e9

    monkeypatch.setattr(cost, "tokens_per_second", rate)
    monkeypatch.setattr(suggest_module, "check_memory", check)
    monkeypatch.setattr(suggest_module.rules, "SQUARE_PER_TOKEN", 1e9)
    found = suggest(words, 0.5)
    assert found.settings.units == 96
    assert set(measured) == {96}
    assert "fit into memory" in reason_of(found, "units")


def test_a_vocabulary_without_any_width_that_fits(words, monkeypatch):
    def check(settings, size, text):
        raise ConfigError("does not fit")

    monkeypatch.setattr(suggest_module, "check_memory", check)
    with pytest.raises(ConfigError, match="Take a smaller one"):
        suggest(words, 0.5)


def test_a_short_text_is_the_reason_for_few_units(corpus, known_machine):
    assert "for each token of a text" in reason_of(suggest(corpus, 60.0), "units")
    assert "twice as wide" in reason_of(suggest(corpus, 0.2), "units")


def test_the_width_is_that_of_the_layers(words, known_machine):
    """Three layers of a parallel cell see a third as much of a text."""
    one = suggest(words, 2.0, fixed={"cell": "qrnn", "layers": 1})
    three = suggest(words, 2.0, fixed={"cell": "qrnn"})
    assert three.settings.layers == 3
    assert three.settings.units <= one.settings.units
    each = three.cost.seconds(three.settings, words.vocabulary_size)
    assert three.tokens * each < 120


def test_embedding_window_and_gates_have_reasons_of_their_own(words, known_machine):
    found = suggest(words, 0.5)
    assert found.settings.embedding is None
    assert "matrix" in reason_of(found, "embedding")
    assert "gradients go back" in reason_of(found, "steps")
    assert "gates" in reason_of(found, "cell")


def test_a_network_without_recurrence_has_no_cell(words):
    fixed = {"network": "transformer", "precision": "float32"}
    found = suggest(words, 0.5, fixed=fixed, seconds=0.05)
    assert found.settings.network == "transformer"
    assert not any("cell" in choice.settings for choice in found.choices)
