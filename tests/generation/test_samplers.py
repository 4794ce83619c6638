import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.generation.samplers import (
    Sampler,
    apply_temperature,
    ban,
    draw,
    keep_top_k,
    keep_top_p,
    normalize,
    penalize_repetition,
    random_streams,
)

Floats = NDArray[np.float64]

# Scores with many ties (whole numbers) and without; some tokens impossible.
scores = st_numpy.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 9)),
    elements=st.one_of(
        st.integers(-3, 0).map(float),
        st.floats(-30, 5, allow_nan=False),
        st.just(-np.inf),
    ),
).filter(lambda values: bool(np.isfinite(values).any(axis=-1).all()))


def nothing_seen(log_probs: Floats) -> NDArray[np.bool_]:
    return np.zeros(log_probs.shape, np.bool_)


def log_of(*probabilities: float) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(np.array([probabilities]))


@given(scores)
def test_normalize_sums_to_one_and_keeps_ratios(values: Floats) -> None:
    result = normalize(values)
    np.testing.assert_allclose(np.exp(result).sum(axis=-1), 1, rtol=1e-12)
    finite = np.isfinite(values)
    assert (np.isfinite(result) == finite).all()
    for row, out, kept in zip(values, result, finite, strict=True):
        np.testing.assert_allclose(np.ptp(row[kept] - out[kept]), 0, atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_normalize_refuses_what_is_no_number(bad: float) -> None:
    with pytest.raises(InputError, match="not finite numbers"):
        normalize([[0.0, bad, -1.0]])


def test_normalize_refuses_a_row_without_a_token() -> None:
    with pytest.raises(InputError, match="every token is excluded"):
        normalize([[-np.inf, -np.inf]])


def test_ban_gives_the_probability_to_the_others() -> None:
    result = ban(log_of(0.5, 0.3, 0.2), [0])
    np.testing.assert_allclose(np.exp(result), [[0, 0.6, 0.4]], rtol=1e-12)


@given(scores, st.floats(0.05, 20))
def test_temperature_is_a_power_of_the_probabilities(
    values: Floats, temperature: float
) -> None:
    expected = np.exp(normalize(values)) ** (1 / temperature)
    expected /= expected.sum(axis=-1, keepdims=True)
    result = np.exp(apply_temperature(values, temperature))
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-300)


@given(scores)
def test_temperature_zero_takes_the_likeliest_and_lowest_id(values: Floats) -> None:
    result = np.exp(apply_temperature(values, 0))
    for row, out in zip(normalize(values), result, strict=True):
        best = min(np.flatnonzero(row == row.max()))
        assert out[best] == 1 and out.sum() == 1


@pytest.mark.parametrize("temperature", [5e-324, 1e-308, 1e308])
def test_extreme_temperatures_stay_finite(temperature: float) -> None:
    result = np.exp(apply_temperature(log_of(0.7, 0.3, 0), temperature))
    expected = [1, 0, 0] if temperature < 1 else [0.5, 0.5, 0]
    np.testing.assert_allclose(result[0], expected)


@given(scores, st.integers(1, 12))
def test_top_k_keeps_the_k_likeliest(values: Floats, k: int) -> None:
    result = keep_top_k(values, k)
    for row, out in zip(normalize(values), result, strict=True):
        possible = [i for i in range(len(row)) if np.isfinite(row[i])]
        by_rank = sorted(possible, key=lambda i: (-row[i], i))
        assert set(np.flatnonzero(np.isfinite(out))) == set(by_rank[:k])
    np.testing.assert_allclose(np.exp(result).sum(axis=-1), 1, rtol=1e-12)


@given(scores, st.floats(0.001, 1))
def test_top_p_keeps_the_smallest_set_that_reaches_p(values: Floats, p: float) -> None:
    result = keep_top_p(values, p)
    for row, out in zip(normalize(values), result, strict=True):
        probs = np.exp(row)
        kept = np.isfinite(out)
        assert probs[kept].sum() >= p - 1e-12
        if p < 1:
            # Any set of fewer tokens, even the likeliest, falls short.
            smaller = np.sort(probs)[::-1][: kept.sum() - 1]
            assert smaller.sum() < p + 1e-12
        assert kept.any()
        if not kept.all():
            assert probs[kept].min() >= probs[~kept].max()
    np.testing.assert_allclose(np.exp(result).sum(axis=-1), 1, rtol=1e-12)


def test_top_p_breaks_ties_by_id_and_keeps_at_least_one() -> None:
    tied = log_of(0.25, 0.25, 0.25, 0.25)
    assert np.isfinite(keep_top_p(tied, 0.4)).tolist() == [[True, True, False, False]]
    assert np.isfinite(keep_top_p(tied, 1e-9)).tolist() == [[True, False, False, False]]


@given(scores, st.floats(0.2, 5))
def test_repetition_penalty_divides_positive_scores_and_multiplies_negative(
    values: Floats, penalty: float
) -> None:
    seen = np.arange(values.shape[1]) % 2 == np.zeros((len(values), 1))
    # A constant added to all logits, which means nothing to a softmax, means nothing.
    for shift in (0.0, 3.5):
        result = penalize_repetition(values + shift, seen, penalty)
        for row, mark, out in zip(values, seen, result, strict=True):
            logits = row - np.mean(row[np.isfinite(row)])
            for i in np.flatnonzero(mark):
                logits[i] *= 1 / penalty if logits[i] > 0 else penalty
            expected = np.exp(logits) / np.exp(logits).sum()
            np.testing.assert_allclose(np.exp(out), expected, rtol=1e-9, atol=1e-300)


def test_repetition_penalty_breaks_a_certain_repetition() -> None:
    certain = np.array([[12.0, 0.0, -4.0, -8.0]])
    seen = np.array([[True, False, False, False]])
    probabilities = np.exp(penalize_repetition(certain, seen, 1.3))[0]
    odds = probabilities[0] / probabilities[1]
    assert math.isclose(math.log(odds), 12 / 1.3)
    # Even one whose probability is 1 to the last digit of a float.
    alone = penalize_repetition(np.array([[50.0, 0.0]]), seen[:, :2], 2.0)
    assert math.isclose(alone[0, 0] - alone[0, 1], 12.5 + 25)


@given(
    scores,
    st.floats(0, 4),
    st.none() | st.integers(1, 6),
    st.none() | st.floats(0.01, 1),
    st.floats(0.5, 2),
)
def test_sampler_composes_in_the_stated_order(
    values: Floats,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    penalty: float,
) -> None:
    seen = nothing_seen(values)
    seen[:, 0] = True
    sampler = Sampler(temperature, top_k, top_p, penalty)
    # Steps that change nothing are left out here as there: their rounding could decide
    # between tokens that are equally likely.
    expected = normalize(values)
    if penalty != 1:
        expected = penalize_repetition(expected, seen, penalty)
    if temperature != 1:
        expected = apply_temperature(expected, temperature)
    expected = keep_top_k(expected, top_k or values.shape[1])
    expected = keep_top_p(expected, top_p or 1.0)
    result = sampler(values, seen)
    np.testing.assert_allclose(np.exp(result), np.exp(expected), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.exp(result).sum(axis=-1), 1, rtol=1e-12)
    # Nothing that was impossible becomes possible.
    assert not (np.isfinite(result) & ~np.isfinite(values)).any()


def test_order_matters_where_it_is_stated() -> None:
    # At temperature 1 the first token alone reaches 0.55; flattened first, it doesn't.
    flat = Sampler(temperature=4.0, top_p=0.55)(
        log_of(0.6, 0.3, 0.1), nothing_seen(log_of(0.6, 0.3, 0.1))
    )
    assert np.isfinite(flat).sum() == 2
    # A banned token takes no place among the k likeliest.
    banned = Sampler(top_k=1, banned=(0,))(
        log_of(0.6, 0.3, 0.1), nothing_seen(log_of(0.6, 0.3, 0.1))
    )
    assert np.isfinite(banned).tolist() == [[False, True, False]]


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"top_p": math.nan},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": math.inf},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="^Expected .* received "):
        Sampler(**settings)


def test_draws_follow_the_probabilities() -> None:
    probabilities = np.array([0.5, 0.0, 0.3, 0.15, 0.05])
    n = 20_000
    tokens = draw(np.tile(log_of(*probabilities), (n, 1)), random_streams(1, 1) * n)
    counts = np.bincount(tokens, minlength=5)
    assert counts[1] == 0
    expected = probabilities[probabilities > 0] * n
    statistic = ((counts[probabilities > 0] - expected) ** 2 / expected).sum()
    # The 99.9th percentile of chi-square with three degrees of freedom.
    assert statistic < 16.27


def test_draws_follow_a_shaped_distribution() -> None:
    log_probs = log_of(0.4, 0.3, 0.2, 0.1)
    shaped = Sampler(temperature=0.5, top_k=3)(log_probs, nothing_seen(log_probs))
    n = 20_000
    tokens = draw(np.tile(shaped, (n, 1)), random_streams(2, 1) * n)
    squares = np.array([0.16, 0.09, 0.04, 0])
    expected = squares / squares.sum() * n
    counts = np.bincount(tokens, minlength=4)
    assert counts[3] == 0
    statistic = ((counts[:3] - expected[:3]) ** 2 / expected[:3]).sum()
    # The 99.9th percentile of chi-square with two degrees of freedom.
    assert statistic < 13.82


class _Fixed(np.random.Generator):
    """A random stream that always gives one number."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, *_: Any, **__: Any) -> Any:
        return self.value


@given(scores, st.sampled_from([0.0, 0.5, 1 - 2**-53]))
def test_draw_never_takes_an_impossible_token(values: Floats, point: float) -> None:
    tokens = draw(values, [_Fixed(point)] * len(values))
    assert np.isfinite(values[np.arange(len(values)), tokens]).all()


def test_known_draws() -> None:
    # Literal numbers: the same seed gives the same text on every platform.
    streams = random_streams(7, 2)
    log_probs = np.zeros((2, 1000))
    drawn = [draw(log_probs, streams).tolist() for _ in range(3)]
    assert drawn == [[625, 770], [897, 111], [775, 189]]


def test_stream_of_a_row_does_not_depend_on_the_number_of_rows() -> None:
    few = [stream.random() for stream in random_streams(3, 2)]
    many = [stream.random() for stream in random_streams(3, 5)]
    assert many[:2] == few
    assert len(set(many)) == 5
    assert [stream.random() for stream in random_streams(4, 2)] != few


def test_no_seed_means_fresh_streams() -> None:
    assert random_streams(None, 1)[0].random() != random_streams(None, 1)[0].random()


def test_negative_seed_is_refused() -> None:
    with pytest.raises(InputError, match="seed of at least 0, received -1"):
        random_streams(-1, 1)
