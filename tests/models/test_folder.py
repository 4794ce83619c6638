"""Model folders: what is saved comes back; what is damaged or foreign is refused."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import CARD, REPORT
from keras_rnnlm.models.folder import load_folder, save_folder, write_manifest
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, english_file: Path) -> Path:
    corpus = Corpus.from_files(english_file, tokenizer="char")
    network = RNNLM(
        corpus.vocabulary_size, units=5, layers=2, embedding=4, seed=1, dropout=0.2
    )
    folder = tmp_path_factory.mktemp("model") / "folder"
    return save_folder(folder, network, corpus.tokenizer, protocol="window:8")


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_round_trip(english_file: Path, tmp_path: Path, cell: str, tied: bool) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="word")
    network = RNNLM(
        corpus.vocabulary_size, cell=cell, units=5, layers=2, tie_weights=tied, seed=1
    )
    save_folder(tmp_path / "m", network, corpus.tokenizer, protocol="carry")
    again, tokenizer, config = load_folder(tmp_path / "m")
    assert config["protocol"] == "carry"
    assert tokenizer.to_json() == corpus.tokenizer.to_json()
    for name, array in weight_arrays(network).items():
        np.testing.assert_array_equal(weight_arrays(again)[name], array)


def test_numbers_of_numpy_are_written(english_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char")
    network = RNNLM(
        corpus.vocabulary_size,
        units=4,
        layers=1,
        dropout=np.float32(0.25),
        output="adaptive",
        output_cutoffs=np.array([5, 9]),
        tie_weights=np.False_,
        seed=np.int64(1),
    )
    save_folder(tmp_path / "m", network, corpus.tokenizer)
    again, _, _ = load_folder(tmp_path / "m")
    assert again.get_config() == {**network.get_config(), "name": again.name}


@pytest.mark.parametrize(
    "options",
    [
        {"output": "adaptive", "tie_weights": False},
        {"output": "adaptive", "tie_weights": False, "output_cutoffs": [5, 9]},
        {"output": "sampled", "output_samples": 4},
        {"output": "sampled", "tie_weights": False, "projection": 3},
        {"output": "mixture"},
        {"output": "mixture", "mixtures": 2, "tie_weights": False, "embedding": 3},
        {"connections": "dense", "projection": 5},
        {"connections": "residual", "embedding": 4},
        {"attention": 4},
        {"attention": 3, "connections": "dense", "tie_weights": False},
    ],
)
def test_round_trip_of_outputs_and_connections(
    english_file: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="word")
    network = RNNLM(corpus.vocabulary_size, units=5, layers=1, seed=1, **options)
    network.rank_words(np.arange(corpus.vocabulary_size) % 7)
    save_folder(tmp_path / "m", network, corpus.tokenizer)
    again, _, _ = load_folder(tmp_path / "m")
    assert again.get_config() == {**network.get_config(), "name": again.name}
    for name, array in weight_arrays(network).items():
        np.testing.assert_array_equal(weight_arrays(again)[name], array)
    state = network.initial_state(1)
    ours, theirs = (
        keras.ops.convert_to_numpy(model.step(np.array([3]), state)[0])
        for model in (network, again)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_transposed_weights_are_written_as_they_are(
    english_file: Path, tmp_path: Path
) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char")
    network = RNNLM(corpus.vocabulary_size, units=5, layers=1, seed=1)
    arrays = {n: np.asfortranarray(a) for n, a in weight_arrays(network).items()}
    save_folder(tmp_path / "m", network, corpus.tokenizer, weights=arrays)
    for name, array in weight_arrays(load_folder(tmp_path / "m")[0]).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="does not exist"):
        load_folder(tmp_path / "none")


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "manifest.json"]
)
def test_a_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(FolderError, match=f"{name} missing"):
        load_folder(copy)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_truncated_file(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FolderError, match="damaged"):
        load_folder(copy)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_a_flipped_bit(copy: Path, data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["config.json", "model.safetensors", "tokenizer.json"])
    )
    content = bytearray((copy / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(content)
    try:
        with pytest.raises(FolderError, match="damaged"):
            load_folder(copy)
    finally:
        (copy / name).write_bytes(whole)


def change(folder: Path, name: str, edit: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    """Change a JSON file of a folder and make the manifest fit it."""
    value = json.loads((folder / name).read_text())
    edit(value)
    (folder / name).write_text(json.dumps(value))
    write_manifest(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("units", 10**9),
        ("vocabulary_size", 10**12),
        ("layers", 10**6),
        ("units", "many"),
        ("units", float("inf")),
        ("dtype", "float16"),
        ("dtype", {"class_name": "keras_rnnlm>RNNLM", "config": {}}),
        ("cell", "transformer"),
        ("cell", ["lstm"]),
        ("embedding", None),
        ("projection", 3),
        ("output", "adaptive"),
        ("output", ["full"]),
        ("output_cutoffs", [3]),
        ("output_samples", 5),
        ("mixtures", 10**9),
        ("mixtures", "3"),
        ("output", "mixture"),
        ("connections", "dense"),
        ("connections", ["none"]),
        ("attention", 3),
        ("attention", "far"),
        ("attention", -1),
        ("activation_penalty", "x"),
        ("temporal_penalty", float("inf")),
        ("tie_weights", 1),
        ("seed", True),
        ("units", 5.0),
    ],
)
def test_a_hostile_configuration_builds_nothing(
    copy: Path, key: str, value: object
) -> None:
    change(copy, "config.json", lambda c: c["network"].update({key: value}))
    with pytest.raises(FolderError):
        load_folder(copy)


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({"attention": 2}, {"attention": 2.5}),
        ({"output": "sampled"}, {"output_samples": float("inf")}),
        ({"output": "mixture"}, {"mixture_dropout": "a"}),
    ],
)
def test_values_that_would_fail_when_they_are_used(
    english_file: Path,
    tmp_path: Path,
    options: dict[str, Any],
    changes: dict[str, Any],
) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char")
    network = RNNLM(corpus.vocabulary_size, units=4, layers=1, seed=1, **options)
    folder = save_folder(tmp_path / "m", network, corpus.tokenizer)
    change(folder, "config.json", lambda c: c["network"].update(changes))
    (name,) = changes
    with pytest.raises(FolderError, match=f"Expected {name} to be a .*number"):
        load_folder(folder)


def test_a_folder_of_another_tool(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    save_file({"w": np.zeros(3, "float32")}, tmp_path / "model.safetensors")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FolderError, match="manifest.json missing"):
        load_folder(tmp_path)
    write_manifest(tmp_path)
    with pytest.raises(FolderError, match="not a model folder"):
        load_folder(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", "{", "null", '{"format": 99}'])
def test_senseless_json(copy: Path, content: str) -> None:
    for name in ("config.json", "manifest.json"):
        (copy / name).write_text(content)
        if name == "config.json":
            write_manifest(copy)
        with pytest.raises(FolderError):
            load_folder(copy)


def test_other_weights(copy: Path) -> None:
    network, _, _ = load_folder(copy)
    arrays = weight_arrays(network)
    arrays["surprise"] = arrays.pop("output.bias")
    save_file(arrays, copy / "model.safetensors")
    write_manifest(copy)
    with pytest.raises(FolderError, match="surprise"):
        load_folder(copy)


def test_a_folder_that_cannot_be_written(saved: Path, tmp_path: Path) -> None:
    network, tokenizer, _ = load_folder(saved)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FolderError, match="Cannot write the model folder"):
        save_folder(tmp_path / "file", network, tokenizer)


def test_a_report_of_other_weights_goes_with_them(
    copy: Path,
) -> None:
    network, tokenizer, _ = load_folder(copy)
    folder = save_folder(copy, network, tokenizer, extra={REPORT: b"{}", CARD: b"#"})
    save_folder(folder, network, tokenizer, "window:9")
    assert (folder / REPORT).exists() and (folder / CARD).exists()
    first = next(iter(network.trainable_variables))
    first.assign(first + 1)
    save_folder(folder, network, tokenizer)
    assert not (folder / REPORT).exists() and not (folder / CARD).exists()
    hashes = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert not {REPORT, CARD} & hashes.keys()


def test_a_model_is_as_it_was_where_a_file_of_the_next_cannot_be_written(
    copy: Path,
) -> None:
    network, tokenizer, _ = load_folder(copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    first = next(iter(network.trainable_variables))
    first.assign(first + 1)
    (copy / f".tokenizer.json.{os.getpid()}.partial").mkdir()
    with pytest.raises(FolderError, match="Cannot write the model folder"):
        save_folder(copy, network, tokenizer, "window:9")
    after = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    assert after == before
