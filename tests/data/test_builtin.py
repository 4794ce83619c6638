"""The demonstration's text: real prose, the same every time."""

import sys

import pytest

from keras_rnnlm.data.builtin import python_reference
from keras_rnnlm.errors import InputError


def test_it_is_a_good_deal_of_prose() -> None:
    text = python_reference()
    assert len(text) > 500_000
    assert len(set(text)) < 150
    words = text.split()
    assert words.count("the") > 0.04 * len(words)
    assert ">>>" not in text
    assert "::=" not in text


def test_it_is_the_same_every_time_and_no_paragraph_comes_twice() -> None:
    text = python_reference()
    assert text == python_reference()
    lines = text.splitlines()
    assert len(set(lines)) == len(lines)
    assert text.endswith("\n")


def test_a_shorter_text_is_the_beginning_of_the_longer() -> None:
    text = python_reference(10_000)
    assert 10_000 <= len(text) < 20_000
    assert python_reference(50_000).startswith(text)


def test_no_module_is_imported_for_its_docstrings() -> None:
    before = set(sys.modules)
    python_reference()
    assert {name.split(".")[0] for name in set(sys.modules) - before} <= {"pydoc_data"}


def test_a_python_without_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(InputError, match="comes without pydoc_data"):
        python_reference()
