"""Solving for units, against networks that are built and against trying every width."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.cell_registry import BUILT_IN
from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.search.sizes import parse_count, solve_units
from keras_rnnlm.training.weight_count import count_weights

VOCABULARY = 50
KINDS = {
    **{cell: Settings(cell=cell, layers=2) for cell in BUILT_IN},
    "transformer": Settings(network="transformer", layers=2, heads=2, units=64),
    "convolutional": Settings(network="convolutional", layers=3),
    "untied": Settings(tie_weights=False, layers=1),
    "narrow words": Settings(embedding=12, layers=2),
    "dense": Settings(connections="dense", layers=3),
    "projected": Settings(projection=10, tie_weights=False),
    "attentive": Settings(attention=20),
    "mixture": Settings(output="mixture", mixtures=3),
    "sampled": Settings(output="sampled", output_samples=20),
    "adaptive": Settings(output="adaptive", tie_weights=False),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("target", [7_000, 40_003])
def test_no_other_width_is_nearer(name: str, target: int) -> None:
    found = solve_units(name, KINDS[name], VOCABULARY, target)
    reached = count_weights(found, VOCABULARY)
    assert reached is not None
    for units in range(1, found.units + 17):
        try:
            other = count_weights(replace(KINDS[name], units=units), VOCABULARY)
        except ConfigError:
            continue
        if other is not None:
            assert abs(other - target) >= abs(reached - target)


@settings(deadline=None, max_examples=40)
@given(target=st.integers(10**5, 10**8), vocabulary=st.integers(2, 20_000))
def test_large_sizes_are_near(target: int, vocabulary: int) -> None:
    try:
        found = solve_units("lstm", Settings(layers=2), vocabulary, target)
    except ConfigError:
        assert target < 300 * vocabulary
        return
    reached = count_weights(found, vocabulary)
    assert reached is not None
    wider = count_weights(found.replace(units=found.units + 1), vocabulary)
    assert wider is not None
    assert abs(reached - target) <= wider - reached


def test_heads_decide_on_the_widths() -> None:
    given = Settings(network="transformer", units=64, heads=4)
    assert solve_units("transformer", given, VOCABULARY, 10**6).units % 8 == 0
    given = Settings(cell="mlstm", cell_arguments={"heads": 6})
    assert solve_units("mlstm", given, VOCABULARY, 10**6).units % 6 == 0


def test_what_cannot_be_reached() -> None:
    with pytest.raises(ConfigError, match="vocabulary of 10,000 tokens takes most"):
        solve_units("lstm", Settings(), 10_000, 5_000)
    with pytest.raises(ConfigError, match="the nearest is .*, with 8 units"):
        given = Settings(network="transformer", units=64, heads=4)
        solve_units("transformer", given, 10_000, 20_000)
    with pytest.raises(ConfigError, match="more units are not allowed"):
        solve_units("lstm", Settings(embedding=8), VOCABULARY, 10**13)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("24M", 24_000_000),
        ("1.5m", 1_500_000),
        ("300k", 300_000),
        (" 2 B ", 2 * 10**9),
        ("24,000,000", 24_000_000),
        ("10_000", 10_000),
        (".5M", 500_000),
    ],
)
def test_numbers_of_weights(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "-3", "0", "1e6", "24T", "two", "9" * 400])
def test_no_numbers_of_weights(text: str) -> None:
    with pytest.raises(ConfigError, match="such as 24M"):
        parse_count(text)
