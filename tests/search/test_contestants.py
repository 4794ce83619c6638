from pathlib import Path

import pytest

from keras_rnnlm import cell_registry
from keras_rnnlm.cli.main import run
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.folder import parameter_count
from keras_rnnlm.search.contestants import (
    DEFAULT,
    check_names,
    names,
    ngram_order,
    parse_sets,
    starting_settings,
)
from keras_rnnlm.search.plan import make_plan
from keras_rnnlm.training.building import make_network
from keras_rnnlm.training.reporter import SilentReporter
from keras_rnnlm.training.word_vectors import read_starting_vectors


def test_everything_has_a_name() -> None:
    assert set(cell_registry.BUILT_IN) <= set(names())
    assert {"transformer", "convolutional", "ngram"} <= set(names())
    assert check_names(DEFAULT) == DEFAULT


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["lstn"], "received 'lstn'. Did you mean 'lstm'?"),
        (["gru", "lstm", "gru"], "received 'gru' more than once"),
        ([], "one model or more"),
    ],
)
def test_names_that_are_none(given: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("?", r"\?")):
        check_names(given)


@pytest.mark.parametrize("kind", ["char", "word", "bpe", "unigram"])
def test_everyone_has_settings(kind: str) -> None:
    found = starting_settings(names(), kind)
    assert set(found) == set(names()) - {"ngram"}
    for name, settings in found.items():
        assert name in (settings.cell, settings.network)
    # As `rnnlm train` would begin.
    recipe = {"char": "char", "word": "word"}.get(kind, "subword")
    assert found["lstm"] == Settings.from_recipe(recipe)
    assert found["transformer"] == Settings.from_recipe("transformer")
    assert found["min_gru"].layers >= 3
    for name in ("min_gru", "simple_rnn"):
        assert found[name].optimizer == "adam"
    assert found["simple_rnn"].layers == found["lstm"].layers
    if found["lstm"].optimizer == "sgd":
        assert found["simple_rnn"].learning_rate == 0.004
    assert found["gru"] == found["lstm"].replace(cell="gru")


def test_overrides_go_where_they_belong() -> None:
    models = ("lstm", "mogrifier_lstm", "transformer", "ngram")
    sets = ["units=64", "context=32", "lstm.dropout=0.4", "ngram.order=3"]
    overrides = parse_sets([*sets, "mogrifier_lstm.cell_arguments.rounds=4"], models)
    found = starting_settings(models, "char", overrides)
    assert all(settings.units == 64 for settings in found.values())
    assert found["transformer"].context == 32
    assert found["lstm"].dropout == 0.4 != found["transformer"].dropout
    assert found["mogrifier_lstm"].cell_arguments == {"rounds": 4}
    assert ngram_order(overrides, 7) == 3
    assert ngram_order(parse_sets([], models), 7) == 7


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("unit=3", "Did you mean 'units'"),
        ("kernel_width=3", "no model here is of that kind"),
        ("gru.units=3", "takes no part"),
        ("seed=3", "use --seed and --seeds"),
        ("lstm.minutes=3", "use --minutes"),
        ("cell=gru", "use --models"),
        ("units=-1", "lstm: Setting 'units'"),
    ],
)
def test_overrides_that_are_none(item: str, says: str) -> None:
    models = ("lstm", "transformer")
    with pytest.raises(ConfigError, match=says):
        starting_settings(models, "char", parse_sets([item], models))


@pytest.mark.parametrize("item", ["ngram.order=0", "ngram.order=two", "ngram.units=3"])
def test_orders_that_are_none(item: str) -> None:
    with pytest.raises(ConfigError, match="ngram.order"):
        ngram_order(parse_sets([item], ["ngram"]), 5)


def test_recipes_of_ones_own(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.toml", tmp_path / "other.toml"
    mine.write_text("units = 40\nlayers = 2\nlearning_rate = 0.01\n")
    other.write_text('network = "transformer"\nunits = 48\n')
    models = ("lstm", "min_gru", "transformer", "convolutional")
    found = starting_settings(models, "word", recipes=[str(mine), str(other)])
    assert found["lstm"] == Settings(units=40, learning_rate=0.01)
    assert found["min_gru"] == found["lstm"].replace(cell="min_gru")
    assert found["transformer"] == Settings(network="transformer", units=48)
    assert found["convolutional"] == Settings.from_recipe("convolutional")
    with pytest.raises(ConfigError, match="received two for 'rnn'"):
        starting_settings(models, "word", recipes=[str(mine), "word"])
    with pytest.raises(ConfigError, match="'transformer' is for no model here"):
        starting_settings(("lstm",), "word", recipes=["transformer"])


@pytest.mark.parametrize("item", ["epochs=3", "max_steps=9"])
def test_a_budget_is_that_of_all(item: str) -> None:
    models = ("lstm", "transformer")
    overrides = parse_sets([item], models)
    found = starting_settings(models, "word", overrides, recipes=["quick"])
    key, _, value = item.partition("=")
    for settings in found.values():
        assert settings.minutes is None and getattr(settings, key) == int(value)
    own = parse_sets([f"lstm.{item}"], models)
    with pytest.raises(ConfigError, match=f"one budget; received lstm.{item}"):
        starting_settings(models, "word", own)


def test_lines_are_compared_though_recipes_are_for_streams() -> None:
    models = ("lstm", "transformer")
    assert starting_settings(models, "char")["lstm"].state_reset > 0
    for item in ("mode=sentence", "lstm.mode=sentence"):
        found = starting_settings(models, "char", parse_sets([item], models))["lstm"]
        assert found.mode == "sentence" and found.state_reset == 0
    both = parse_sets(["mode=sentence", "state_reset=0.1"], models)
    with pytest.raises(ConfigError, match="lstm: .*the lanes of mode=stream"):
        starting_settings(models, "char", both)


def test_a_part_of_a_table_leaves_its_others(tmp_path: Path) -> None:
    mine, models = tmp_path / "mine.toml", ("mogrifier_lstm",)
    mine.write_text(
        'cell = "mogrifier_lstm"\ncell_arguments = { rounds = 4, rank = 8 }\n'
    )
    for item in ("cell_arguments.rounds=2", "mogrifier_lstm.cell_arguments.rounds=2"):
        overrides = parse_sets([item], models)
        found = starting_settings(models, "word", overrides, [str(mine)])
        assert found["mogrifier_lstm"].cell_arguments == {"rounds": 2, "rank": 8}


def test_a_recipe_of_one_cell_is_for_others_too(tmp_path: Path) -> None:
    mine, models = tmp_path / "mine.toml", ("lstm", "mogrifier_lstm", "rlstm")
    mine.write_text(
        'cell = "mogrifier_lstm"\ncell_arguments = { rounds = 4, rank = 8 }\n'
    )
    found = starting_settings(models, "word", recipes=[str(mine)])
    assert found["lstm"].cell_arguments is None
    for name in ("mogrifier_lstm", "rlstm"):
        assert found[name].cell_arguments == {"rounds": 4, "rank": 8}


def test_figures_are_plain_ones() -> None:
    found = starting_settings(("lstm",), "char", recipes=["shakespeare-2min"])
    assert found["lstm"].system_minutes == 0
    with pytest.raises(ConfigError, match="leave system_minutes out"):
        starting_settings(("lstm",), "char", parse_sets(["system_minutes=1"], ["lstm"]))


def test_all_are_evaluated_under_one_protocol(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["a b c", "b a"], valid=["a b"], tokenizer="word")
    lines = tmp_path / "lines.toml"
    lines.write_text('mode = "sentence"\n')
    models = ("lstm", "transformer")
    with pytest.raises(ConfigError, match="lstm by sentence, transformer by default"):
        make_plan(corpus, models, recipes=[str(lines)])
    overrides = parse_sets(["protocol=sentence"], models)
    make_plan(corpus, models, recipes=[str(lines)], overrides=overrides)


def test_units_are_solved_for_with_vectors_of_their_own_width(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["a b c", "b a"], valid=["a b"], tokenizer="word")
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("a " + " ".join(["0.5"] * 300) + "\n")
    models = ("lstm", "transformer")
    overrides = parse_sets([f"vectors={vectors}"], models)
    plan = make_plan(corpus, models, overrides=overrides, parameters=300_000)
    for settings in plan.settings.values():
        given = read_starting_vectors(settings, corpus, SilentReporter())
        network = make_network(settings, corpus, given)
        assert parameter_count(network) == pytest.approx(300_000, rel=0.1)


@pytest.mark.parametrize(
    ("words", "variable", "says"),
    [
        (["--recipe", "suggest"], "", "Received --recipe suggest. Leave it out"),
        ([], "suggest", "Received RNNLM_RECIPE=suggest. Unset it"),
    ],
)
def test_nothing_is_chosen_for_the_time(
    words: list[str],
    variable: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RNNLM_RECIPE", variable)
    assert run(["compare", "text.txt", *words]) == 2
    said = capsys.readouterr().err
    assert "A comparison chooses nothing for the time" in said and says in said
