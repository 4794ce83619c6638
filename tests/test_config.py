"""Settings are checked when built, and errors offer the nearest name."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keras_rnnlm.config import Settings, parse_overrides, recipe_names
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.setting_checks import check_finite


def test_every_shipped_recipe_is_valid() -> None:
    assert set(recipe_names()) >= {"char", "demo", "subword", "word"}
    for name in recipe_names():
        Settings.from_recipe(name)


def test_overrides_beat_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('cell = "gru"\nunits = 7\n')
    settings = Settings.from_recipe(recipe, ["units=9", "embedding=none"])
    assert (settings.cell, settings.units, settings.embedding) == ("gru", 9, None)


def test_values_are_read_like_toml() -> None:
    assert parse_overrides(["a=1", "b=2.5", "c=true", "d=lstm", "e=none", "f='x'"]) == {
        "a": 1,
        "b": 2.5,
        "c": True,
        "d": "lstm",
        "e": None,
        "f": "x",
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["unit=3"], "Unknown setting 'unit'. Did you mean 'units'?"),
        (["cell=lstn"], "Did you mean 'lstm'?"),
        (["units=0"], "'units' takes at least 1; received 0"),
        (["units=2.5"], "'units' takes a whole number; received 2.5"),
        (["units=inf"], "'units' takes a whole number; received inf"),
        (["dropout=1"], "'dropout' takes at least 0 and below 1"),
        (["learning_rate=nan"], "'learning_rate' takes a number above 0"),
        (["tie_weights=3"], "'tie_weights' takes true or false; received 3"),
        (["units"], "Expected key=value after --set, received 'units'"),
        (["minutes=2", "max_steps=5"], "'minutes' and 'max_steps'"),
        (["units=5", "units.x=3"], "'units.x' is a part of a table; received units=5"),
        (["clip_norm=nan"], "'clip_norm' takes at least 0"),
        (["clip_norm=inf"], "'clip_norm' takes a finite number; received inf"),
        (["weight_decay=inf"], "'weight_decay' takes a finite number; received inf"),
        (["units=" + 400 * "9"], "'units' takes numbers of at most 308 digits"),
        (["dropout=" + 400 * "9"], "'dropout' takes numbers of at most 308 digits"),
        (["units=" + 5000 * "9"], "'units' takes a whole number; received '999"),
        (["output=adaptiv"], "Did you mean 'adaptive'?"),
        (["output=adaptive"], "Set tie_weights=false"),
        (["output_cutoffs=3"], "goes with output=adaptive; received output=full"),
        (["output_samples=3"], "goes with output=sampled"),
        (["output_cutoffs=3,x"], "takes whole numbers with commas between them"),
        (["output=sampled", "output_samples=0"], "takes at least 1; received 0"),
        (["mixtures=3"], "goes with output=mixture; received output=full"),
        (["mixture_dropout=0.1"], "goes with output=mixture"),
        (["connections=dens"], "Did you mean 'dense'?"),
        (["output_dropout=1"], "'output_dropout' takes at least 0 and below 1"),
        (["activation_penalty=-1"], "takes at least 0 and at most 1e+06; received -1"),
        (["averaging=ema"], "received averaging=ema, average=0. Give both"),
        (["averaging=swa", "average=0.9"], "received averaging=swa, average=0.9"),
        (["averaging=sma"], "Did you mean 'swa'?"),
        (["average_start=0.5"], "goes with averaging=ema or averaging=swa"),
        (["averaging=swa", "average_start=1"], "at least 0 and below 1; received 1"),
        (["steps=35", "steps_deviation=9"], "takes at most a quarter of 'steps'"),
        (["mode=sentence", "partial_shuffle=true"], "the lanes of mode=stream"),
        (["mode=sentence", "state_reset=0.1"], "the lanes of mode=stream"),
        (["state_reset=2"], "'state_reset' takes at least 0 and at most 1; received 2"),
        (["noising=blank"], "noising=blank, noising_rate=0. Give both"),
        (["noising_rate=0.2"], "noising=none, noising_rate=0.2. Give both"),
        (["bpe_dropout=1.5"], "'bpe_dropout' takes at least 0 and at most 1; received"),
        (["unigram_alpha=-1"], "'unigram_alpha' takes at least 0 and at most 1000"),
        (["bpe_dropout=0.1", "unigram_alpha=0.2"], "Leave one of them out"),
        (["system_passes=5", "dropout=0"], "received system_passes=5 and no dropout"),
        (
            ["system_passes=5", "dropout=0", "bpe_dropout=0.1"],
            "received system_passes=5 and no dropout",
        ),
        (["finetune=1"], "'finetune' takes at least 0 and below 1"),
        (["cycle_growth=0"], "'cycle_growth' takes a number above 0"),
        (["beta_1=1"], "'beta_1' takes at least 0 and below 1"),
        (
            ["output=adaptive", "tie_weights=false", "output_cutoffs=9,3"],
            "'output_cutoffs' takes rising numbers above 0; received (9, 3)",
        ),
    ],
)
def test_impossible_settings(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_recipe(None, overrides)
    assert message in str(caught.value)


def test_unknown_recipes() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'word'"):
        Settings.from_recipe("wrod")
    with pytest.raises(ConfigError, match="does not exist"):
        Settings.from_recipe("no/such/file.toml")


def test_a_recipe_that_is_not_toml(tmp_path: Path) -> None:
    recipe = tmp_path / "bad.toml"
    recipe.write_text("units = = 3")
    with pytest.raises(ConfigError, match="not valid TOML"):
        Settings.from_recipe(recipe)


@pytest.mark.parametrize("cutoffs", ["2000", "2000,20000", "[2000, 20000]"])
def test_cutoffs_are_numbers_with_commas(cutoffs: str) -> None:
    settings = Settings.from_recipe(
        None, ["output=adaptive", "tie_weights=false", f"output_cutoffs={cutoffs}"]
    )
    assert settings.output_cutoffs in ((2000,), (2000, 20000))
    assert Settings.from_dict(settings.to_dict()) == settings
    # As JSON, which has no tuples, gives it back.
    assert json.loads(json.dumps(settings.to_dict())) == settings.to_dict()


def test_a_decay_alone_means_a_moving_average() -> None:
    assert Settings(average=0.999).averaging_kind == "ema"
    assert Settings(average=0.999, averaging="ema").averaging_kind == "ema"
    assert Settings().averaging_kind == "none"
    assert Settings(averaging="nt_asgd").averaging_kind == "nt_asgd"


def test_settings_survive_a_round_trip() -> None:
    settings = Settings(cell="gru", minutes=2.5)
    assert Settings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize("usual", ["float32", "mixed_bfloat16"])
def test_auto_precision_is_that_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, usual: str
) -> None:
    monkeypatch.setattr("keras_rnnlm.config.usual_precision", lambda: usual)
    for settings in (
        Settings(precision="auto"),
        Settings().replace(precision="auto"),
        Settings.from_recipe("quick"),
        Settings.from_recipe(None, ["precision=auto"]),
    ):
        assert settings.precision == usual
        assert Settings.from_dict(settings.to_dict()) == settings


def test_what_a_recipe_has_for_streams_does_not_hinder_sentences() -> None:
    assert Settings.from_recipe("char").state_reset > 0
    assert Settings.from_recipe("char", ["mode=sentence"]).state_reset == 0
    with pytest.raises(ConfigError, match="mode=sentence"):
        Settings.from_recipe("char", ["mode=sentence", "state_reset=0.1"])


def test_a_budget_that_is_given_takes_the_place_of_a_recipes(tmp_path: Path) -> None:
    timed, counted = tmp_path / "timed.toml", tmp_path / "counted.toml"
    timed.write_text("minutes = 1\nepochs = 4\n")
    counted.write_text("max_steps = 5\n")

    def budgets(recipe: Path, *given: str) -> tuple[float | None, int | None, int]:
        found = Settings.from_recipe(recipe, given)
        return found.minutes, found.max_steps, found.epochs

    assert budgets(timed, "max_steps=9") == (None, 9, 4)
    assert budgets(timed, "epochs=2") == (None, None, 2)
    assert budgets(timed, "epochs=2", "minutes=3") == (3.0, None, 2)
    assert budgets(timed, "max_steps=none", "units=8") == (1.0, None, 4)
    assert budgets(counted, "minutes=3") == (3.0, None, 10)
    assert budgets(counted, "epochs=2") == (None, None, 2)


def test_a_part_of_a_table_leaves_its_others(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'cell = "mogrifier_lstm"\ncell_arguments = { rounds = 4, rank = 8 }\n'
    )

    def arguments(*given: str) -> dict[str, Any] | None:
        return Settings.from_recipe(recipe, given).cell_arguments

    part = "cell_arguments.rounds=2"
    assert arguments(part) == {"rounds": 2, "rank": 8}
    assert arguments("cell_arguments={rounds=2}") == {"rounds": 2}
    assert arguments("cell_arguments={rank=3}", part) == {"rounds": 2, "rank": 3}
    assert arguments("cell_arguments=none", part) == {"rounds": 2}
    assert arguments("cell=rlstm", part) == {"rounds": 2, "rank": 8}  # it has both
    settings = Settings.from_recipe(recipe).replace(**parse_overrides([part]))
    assert settings.cell_arguments == {"rounds": 2, "rank": 8}


def test_arguments_of_a_recipe_that_another_cell_lacks_are_left_out(
    tmp_path: Path,
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'cell = "mogrifier_lstm"\ncell_arguments = { rounds = 4, rank = 8 }\n'
    )

    def arguments(*given: str) -> dict[str, Any] | None:
        return Settings.from_recipe(recipe, given).cell_arguments

    assert arguments("cell=gru") is None
    assert arguments("cell=slstm") is None
    assert arguments("cell=slstm", "cell_arguments.heads=2") == {"heads": 2}
    assert arguments("cell=rlstm") == {"rounds": 4, "rank": 8}  # as it has them too
    for given in ("cell_arguments.rounds=2", "cell_arguments={rounds=2}"):  # typed
        with pytest.raises(ConfigError, match="'gru' has no setting 'rounds'"):
            arguments("cell=gru", given)
    recipe.write_text('cell = "mogrifier_lstm"\ncell_arguments = { round = 4 }\n')
    with pytest.raises(ConfigError, match="Did you mean 'rounds'"):
        arguments("cell=mogrifier_lstm")


def test_arguments_of_a_cell_of_ones_own_are_finite_too() -> None:
    given = SimpleNamespace(cell_arguments={"bias": float("inf")})
    with pytest.raises(ConfigError, match="'cell_arguments.bias' takes a finite"):
        check_finite(given)


def test_a_number_of_thousands_of_digits_is_no_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "huge.toml"
    recipe.write_text(f"units = {'9' * 5000}\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        Settings.from_recipe(recipe)


def test_a_path_that_is_no_text_is_refused_before_anything_begins() -> None:
    with pytest.raises(ConfigError, match="Rename the file"):
        Settings(vectors="v\udcff.txt")
