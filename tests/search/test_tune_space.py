import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_rnnlm.config import Settings, recipe_names
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.search import rules
from keras_rnnlm.search.space import (
    Choice,
    Range,
    default_space,
    parse_search,
    point_of,
    settings_at,
    space_from_dict,
    space_to_dict,
)
from keras_rnnlm.search.tune_conflicts import OF_OPTIMIZER
from keras_rnnlm.training.optimizers import build_optimizer, optimizer_names

BASE = Settings()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("units=64:512:log", Range(64, 512, log=True, whole=True)),
        ("units=64:520:64", Range(64, 512, step=64, whole=True)),
        ("dropout=0:0.6", Range(0.0, 0.6)),
        ("learning_rate = 1e-4 : 1e-1 : log", Range(1e-4, 0.1, log=True)),
        ("cell=lstm,gru", Choice(("lstm", "gru"))),
        ("embedding=none,64,128", Choice((None, 64, 128))),
        ("tie_weights=true,false", Choice((True, False))),
        ("steps=20,40,20", Choice((20, 40))),
        ("cell_arguments.rounds=2:5", Range(2, 5, whole=True)),
    ],
)
def test_what_is_typed(item: str, expected: Any) -> None:
    base = Settings(cell="mogrifier_lstm") if "rounds" in item else BASE
    (found,) = parse_search([item], base).values()
    assert found == expected
    # As it is printed it can be typed again.
    key = item.partition("=")[0].strip()
    assert parse_search([f"{key}={found}"], base)[key] == expected


@pytest.mark.parametrize(
    ("cell", "item", "whole"),
    [
        ("mogrifier_lstm", "rounds=2:5", True),
        ("sru", "highway_bias=0:1", False),  # by its default
        ("sru", "highway_bias=-2:2:1", False),
        ("lstm", "own=0:1", True),  # of a cell that is searched too
        ("lstm", "own=0.0:1.0", False),  # as it is written
    ],
)
def test_which_arguments_of_a_cell_are_whole(cell: str, item: str, whole: bool) -> None:
    (found,) = parse_search([f"cell_arguments.{item}"], Settings(cell=cell)).values()
    assert isinstance(found, Range) and found.whole is whole


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("units", "Expected key=low:high"),
        ("unit=1:2", "Did you mean 'units'?"),
        ("units=8:four", "expected a number, received 'four'"),
        ("units=64:8", "expected low < high"),
        ("units=8.5:64", "'units' takes whole numbers"),
        ("learning_rate=0:1:log", "begins above 0"),
        ("dropout=0:0.5:2", "a step above 0 and at most 0.5"),
        ("dropout=0:1.5", "Setting 'dropout' takes at least 0"),
        ("cell=lstm", "To fix a setting use --set cell=lstm"),
        ("cell=lstm,grü", "received 'grü'"),
        ("cell=lstm:gru", "two values or more"),
        ("vectors_frozen=false,true,1", "true and 1, or false and 0, count as one"),
        ("units=8,many", "Setting 'units' takes a whole number"),
        ("minutes=1:2", "--trial-minutes"),
        ("seed=1,2", "one seed"),
        ("protocol=carry,sentence", "measured alike"),
        ("output_cutoffs=10,20", "no single value"),
        ("cell_arguments=1,2", "cell_arguments.rounds"),
    ],
)
def test_slips(item: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_search([item], BASE)
    assert says in str(error.value)


@pytest.mark.parametrize("recipe", recipe_names())
@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_a_recipe_is_in_its_own_space(recipe: str, tokenizer: str) -> None:
    base = Settings.from_recipe(recipe)
    space = default_space(base, tokenizer)
    point = point_of(base, space)
    assert all(value in space[key] for key, value in point.items())
    assert settings_at(base, point) == base
    assert {"units", "layers", "learning_rate", "dropout"} <= set(space)
    assert ("cell" in space) == (base.network == "rnn")
    again = space_from_dict(json.loads(json.dumps(space_to_dict(space))))
    assert again == space


def test_a_cell_with_settings_of_its_own_is_the_only_one() -> None:
    mogrifier = Settings(cell="mogrifier_lstm")
    assert "cell" in default_space(mogrifier, "word")
    # A GRU has no rounds: trials of one would be refused.
    rounds = mogrifier.replace(cell_arguments={"rounds": 4})
    assert "cell" not in default_space(rounds, "word")


@given(st.integers(1, 2000), st.integers(1, 8))
@example(3, 1)
def test_default_spaces_hold_any_sizes(units: int, layers: int) -> None:
    base = Settings(units=units, layers=layers)
    space = default_space(base, "word")
    assert all(v in space[k] for k, v in point_of(base, space).items())
    units_range = space["units"]
    assert isinstance(units_range, Range)
    assert 1 <= units_range.low < units_range.high  # there is something to change
    for value in (units_range.low, units_range.high):
        settings_at(base, {"units": value})


def test_outside_of_the_space() -> None:
    space = parse_search(["units=8:32", "cell=gru,qrnn"], BASE)
    point = point_of(BASE.replace(units=32), space)
    assert point == {"units": 32, "cell": "lstm"}
    assert point["units"] in space["units"] and point["cell"] not in space["cell"]
    assert True not in Choice((1, 2)) and 1 not in Choice((True, False))


def test_what_belongs_to_another_output_goes_with_it() -> None:
    base = BASE.replace(output="sampled", output_samples=300)
    assert settings_at(base, {"output": "full"}).output_samples is None
    assert settings_at(base, {"output": "sampled"}) == base
    with pytest.raises(ConfigError, match="goes with output=sampled"):
        settings_at(base, {"output": "full", "output_samples": 300})


def test_what_another_optimizer_or_mode_lacks_goes_with_it() -> None:
    suggested = Settings.from_dict(rules.base(60, "char", {}))
    assert suggested.beta_2 == 0.99 and suggested.state_reset == 0.05
    for name in ("sgd", "rmsprop", "Adam"):  # which can all be trained
        build_optimizer(settings_at(suggested, {"optimizer": name}))
    assert settings_at(suggested, {"optimizer": "adamw"}).beta_2 == 0.99
    heavy = BASE.replace(optimizer="sgd", momentum=0.9)
    assert settings_at(heavy, {"optimizer": "adam"}).momentum == 0.0
    assert settings_at(heavy, {"optimizer": "sgd"}) == heavy
    lanes = suggested.replace(steps_deviation=2, partial_shuffle=True)
    found = settings_at(lanes, {"mode": "sentence", "units": 8})
    assert found.mode == "sentence" and not found.state_reset
    assert not found.steps_deviation and not found.partial_shuffle
    assert settings_at(lanes, {"mode": "stream"}) == lanes


def test_what_is_searched_itself_is_never_left_out() -> None:
    point = {"optimizer": "sgd", "beta_2": 0.95}
    assert settings_at(BASE, point).beta_2 == 0.95
    with pytest.raises(ConfigError, match="lanes of mode=stream"):
        settings_at(BASE, {"mode": "sentence", "state_reset": 0.1})


@pytest.mark.parametrize(
    ("item", "typed"),
    [
        ("optimizer=adam,sgd,rmsprop", "beta_2=0.99"),
        ("mode=stream,sentence", "state_reset=0.05"),
    ],
)
def test_what_was_typed_is_not_left_out_either(item: str, typed: str) -> None:
    name, protocol = typed.partition("=")[0], "protocol=carry"
    base = Settings.from_recipe(None, [typed, protocol])
    assert parse_search([item], base)  # of a recipe
    with pytest.raises(ConfigError, match=f"does not go with --set {typed}"):
        parse_search([item], base, [name])
    assert parse_search(["optimizer=adam,nadam"], base, [name])
    usual = Settings.from_recipe(None, [protocol])
    assert parse_search([item], usual, [name])  # as it is by default


def test_modes_are_searched_under_one_protocol() -> None:
    with pytest.raises(ConfigError, match="cannot be compared.*--set protocol=sent"):
        parse_search(["mode=stream,sentence"], BASE)
    for protocol in ("sentence", "carry", "window:64"):  # typed or of a recipe
        space = parse_search(["mode=stream,sentence"], BASE.replace(protocol=protocol))
        found = [
            settings_at(BASE.replace(protocol=protocol), {"mode": mode})
            for mode in ("stream", "sentence")
        ]
        assert {each.evaluation_protocol for each in found} == {protocol}
        assert list(space) == ["mode"]


def test_what_optimizers_have_is_known_without_keras() -> None:
    for optimizer in optimizer_names():
        for name, owners in OF_OPTIMIZER.items():
            settings = Settings.from_dict({"optimizer": optimizer, name: 0.5})
            if optimizer in owners:
                build_optimizer(settings)
                continue
            with pytest.raises(ConfigError, match=f"has no '{name}'"):
                build_optimizer(settings)


def test_parts_of_tables() -> None:
    base = Settings(cell="mogrifier_lstm", cell_arguments={"rounds": 3})
    found = settings_at(base, {"cell_arguments.rounds": 5, "units": 8})
    assert found.cell_arguments == {"rounds": 5} and found.units == 8


def test_lists_are_not_searched() -> None:
    with pytest.raises(ConfigError, match="Lists and tables are fixed by --set"):
        parse_search(["cell_arguments.rounds=[1],[2]"], Settings(cell="mogrifier_lstm"))
