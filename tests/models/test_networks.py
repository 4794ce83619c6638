"""Kinds of network by name: built, counted, saved and read again."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.config import Settings, default_recipe, recipe_names
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError, FolderError
from keras_rnnlm.language_model import LanguageModel, load
from keras_rnnlm.models.arguments import _KINDS, _OR_NONE
from keras_rnnlm.models.folder import (
    load_folder,
    parameter_count,
    save_folder,
    write_manifest,
)
from keras_rnnlm.models.networks import (
    NETWORKS,
    kind_of,
    network_class,
    network_weights,
)
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.network_settings import OWN, network_arguments
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.weight_count import count_weights

SMALL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("transformer", {"heads": 2, "context": 5}),
    ("transformer", {"heads": 1, "output": "adaptive", "tie_weights": False}),
    ("convolutional", {"kernel_width": 3, "output": "sampled", "output_samples": 4}),
    ("convolutional", {"tie_weights": False, "output": "mixture", "mixtures": 2}),
)


@pytest.mark.parametrize(("kind", "options"), SMALL)
def test_round_trip_of_a_folder(
    english_file: Path, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="word")
    options = {"units": 8, "layers": 2, "seed": 1, **options}
    network = network_class(kind)(corpus.vocabulary_size, **options)
    LanguageModel(network, corpus.tokenizer, "carry").save(tmp_path / "m")
    again, _, config = load_folder(tmp_path / "m")
    assert config["kind"] == kind == kind_of(again)
    assert again.get_config() == {**network.get_config(), "name": again.name}
    for name, array in weight_arrays(network).items():
        np.testing.assert_array_equal(weight_arrays(again)[name], array)
    model = load(tmp_path / "m")
    one, two = (m.generate("the", 5, seed=1) for m in (model, load(tmp_path / "m")))
    assert one == two
    assert np.isfinite(model.score("the cat").total)


def test_a_folder_without_a_kind_is_recurrent(
    english_file: Path, tmp_path: Path
) -> None:
    """As they were written before there was a choice."""
    corpus = Corpus.from_files(english_file, tokenizer="char")
    network = network_class("rnn")(corpus.vocabulary_size, units=4, layers=1, seed=1)
    folder = save_folder(tmp_path / "m", network, corpus.tokenizer)
    config = json.loads((folder / "config.json").read_text())
    del config["kind"]
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder)
    assert kind_of(load_folder(folder)[0]) == "rnn"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "transformers"}, "Did you mean 'transformer'"),
        ({"kind": ["rnn"]}, "names no known kind"),
        ({"units": 10**6}, "does not fit the size of the weights"),
        ({"layers": 10**9}, "does not fit the size of the weights"),
        ({"heads": 3}, "describes no model"),
        ({"context": 10**12}, "describes no model"),
        ({"kind": "convolutional"}, "does not fit the size of the weights"),
    ],
)
def test_a_foreign_config(
    english_file: Path, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char")
    network = network_class("transformer")(corpus.vocabulary_size, units=8, layers=1)
    folder = save_folder(tmp_path / "m", network, corpus.tokenizer)
    config = json.loads((folder / "config.json").read_text())
    for name, value in changes.items():
        (config if name == "kind" else config["network"])[name] = value
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder)
    with pytest.raises(FolderError, match=says):
        load_folder(folder)


@pytest.mark.parametrize(
    ("kind", "options"), [*SMALL, ("rnn", {"cell": "gru"}), ("rnn", {"attention": 3})]
)
def test_weights_are_counted_before_they_are_made(
    kind: str, options: dict[str, Any]
) -> None:
    settings = Settings(network=kind, units=12, layers=3, **options)
    network = network_class(kind)(300, **network_arguments(settings))
    exact = sum(array.size for array in weight_arrays(network).values())
    assert network_weights(kind, network.get_config()) == exact
    assert count_weights(settings, 300) == parameter_count(network)
    assert network_weights(kind, {"units": 3}) is None
    assert network_weights(kind, {**network.get_config(), "layers": 0}) is None


def test_arguments_are_those_of_the_classes() -> None:
    assert set(OWN) == set(NETWORKS)
    for kind, known in NETWORKS.items():
        wanted = set(network_arguments(Settings(network=kind)))
        config = known(11, units=8, layers=1).get_config()
        # Low-rank factors are of an adaptation; no model begins with them.
        others = {"vocabulary_size", "name", "dtype", "low_rank"}
        assert wanted == set(config) - others
        assert set(config) - {"name", "dtype"} <= {
            *_KINDS,
            *_OR_NONE,
        }  # all are checked


def test_every_network_has_a_recipe() -> None:
    for kind in ("transformer", "convolutional"):
        assert default_recipe("word", kind) == default_recipe("char", kind) == kind
        assert kind in recipe_names()
        settings = Settings.from_recipe(kind, [f"network={kind}", "units=48"])
        assert (settings.network, settings.units) == (kind, 48)
    assert default_recipe("word") == "word"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": "transfomer"}, "Did you mean 'transformer'?"),
        ({"heads": 2}, "'heads' goes with network=transformer; received network=rnn"),
        ({"network": "convolutional", "cell": "gru"}, "'cell' goes with network=rnn"),
        ({"network": "transformer", "units": 12}, "a multiple of 2 x 4 heads"),
        ({"network": "transformer", "context": 1}, "at least 2 and at most 16384"),
        ({"network": "convolutional", "kernel_width": 1}, "at least 2 and at most"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(**values)
    assert message in str(caught.value)


def test_attention_over_too_much_is_said_before_it_starts() -> None:
    settings = Settings(
        network="transformer", context=16384, layers=100, batch_size=10**5, steps=10**4
    )
    with pytest.raises(ConfigError, match="Training would take about"):
        check_memory(settings, 100)


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'convolutional'"):
        network_class("convolutionl")
    assert keras.saving.get_registered_object("keras_rnnlm>TransformerLM")
