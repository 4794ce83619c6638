import numpy as np
import pytest

from keras_rnnlm.explanation.passes import Pass, run
from keras_rnnlm.explanation.probes import fit_logistic, mean_ranks, probe, roc_area
from keras_rnnlm.explanation.properties import properties
from keras_rnnlm.explanation.reading import Reading, read
from tests.explanation.models import TEXT, characters


def test_roc_area_is_the_chance_of_a_pair() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, 60).astype(np.float64)  # with ties
    labels = rng.random(60) < 0.4
    pairs = np.sign(scores[labels][:, None] - scores[~labels][None])
    assert roc_area(scores, labels) == pytest.approx(float((pairs + 1).mean() / 2))


def test_the_regression_is_at_its_minimum() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 6)).astype(np.float32)
    truth = x @ rng.standard_normal((6, 2)) + rng.standard_normal((400, 2)) > 0.3
    weights, bias = fit_logistic(x, truth, steps=2000, penalty=1e-2)
    wrong = 1 / (1 + np.exp(-(x.astype(np.float64) @ weights + bias))) - truth
    np.testing.assert_allclose(x.T @ wrong / 400 + 1e-2 * weights, 0, atol=1e-5)
    np.testing.assert_allclose(wrong.mean(axis=0), 0, atol=1e-5)


def test_probes_beat_a_shuffled_control() -> None:
    lm = characters(units=24)
    reading = read(lm.tokenizer, TEXT, 50, len(TEXT))
    found = probe(reading, run(lm.network, reading))
    names = {each.name for each in found.found}
    assert {"quotes", "brackets", "digit", "line", "word"} <= names
    for each in found.found:
        assert each.area > each.control + 0.1, each.name
        assert abs(each.control - 0.5) < 0.15, each.name
        assert each.unit_area > 0.55 or each.name in ("line", "clause"), each.name
        assert each.probabilities.shape == each.outputs.shape == (50,)
    digit = next(each for each in found.found if each.name == "digit")
    assert digit.area > 0.95


def planted(flag: np.ndarray, reading: Reading) -> Pass:
    """A pass in which unit 3 of layer 2 is low where something is true."""
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((2, len(flag), 5)).astype(np.float32)
    second[:, 3] -= 4 * flag
    nothing = np.zeros(len(flag))
    return Pass(
        nothing,
        nothing,
        nothing.astype(np.int64),
        np.zeros((len(flag), 1), np.int64),
        nothing[:, None],
        first,
        (first, second),
    )


def test_a_unit_that_tracks_something_is_found() -> None:
    lm = characters()
    reading = read(lm.tokenizer, TEXT, 50, len(TEXT))
    flag = properties(reading.pieces[:-1])["brackets"]
    found = probe(reading, planted(flag, reading))
    brackets = next(each for each in found.found if each.name == "brackets")
    assert (brackets.layer, brackets.unit, brackets.sign) == (1, 3, -1)
    assert brackets.unit_area > 0.97 and brackets.area > 0.97


def test_a_unit_that_never_moves_tracks_nothing() -> None:
    scores = np.array([2.0, 1.0, 1.0, 3.0, 1.0])
    assert mean_ranks(scores).tolist() == [4, 2, 2, 5, 2]
    lm = characters()
    reading = read(lm.tokenizer, TEXT, 50, len(TEXT))
    flag = properties(reading.pieces[:-1])["brackets"]
    found = planted(flag, reading)
    found.units[0][:, 0] = 1.0  # its places alone would tell the later ones
    brackets = next(p for p in probe(reading, found).found if p.name == "brackets")
    assert (brackets.layer, brackets.unit) == (1, 3)


def test_what_a_text_has_too_little_of_is_not_probed() -> None:
    lm = characters()
    reading = read(lm.tokenizer, "No more " * 30, 20, 240)
    found = probe(reading, run(lm.network, reading))
    assert {"quotes", "brackets", "digit"} <= set(found.absent)
    short = read(lm.tokenizer, "No more", 20, 20)
    assert probe(short, run(lm.network, short)).found == ()
