import pytest

from keras_rnnlm.bench.peers import NAMES, PEERS, chosen, peer
from keras_rnnlm.errors import ConfigError
from tests.bench.records import ABSENT


def test_the_beginning_of_a_name_is_enough() -> None:
    assert [p.name for p in chosen(["ours"])] == [
        "ours-float32",
        "ours-bfloat16",
        "ours-int8",
    ]
    keras = [p.name for p in chosen(["keras"])]
    assert "keras-torch-float32" in keras
    assert "torch-float32" not in keras
    assert [p.name for p in chosen(["torch-float32"])] == ["torch-float32"]


def test_all_names_differ_and_are_found() -> None:
    assert len(set(NAMES)) == len(PEERS)
    assert [peer(name).name for name in NAMES] == list(NAMES)


def test_unknown_contestant() -> None:
    with pytest.raises(ConfigError, match="no contestant 'torhc'"):
        chosen(["ours", "torhc"])


def test_what_is_not_installed_is_named() -> None:
    assert ABSENT.missing() == "no_such_module not installed (pip install nothing)"
    assert peer("ours-float32").missing() is None
