"""Vectors trained by gensim, and the words that are near each other."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.data.text import TextFile
from keras_rnnlm.data.vector_files import VectorFile
from keras_rnnlm.data.vector_neighbours import (
    neighbours_in_file,
    neighbours_in_matrix,
)
from keras_rnnlm.data.vector_training import _Sentences, train_vectors
from keras_rnnlm.data.vector_writer import write_vectors
from keras_rnnlm.errors import InputError
from tests.data.gensim_files import chance, keyed

SMALL: dict[str, Any] = {"dimensions": 6, "minimum_count": 2, "epochs": 2}
WORDS = [f"w{i}" for i in range(40)]


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_a_seed_settles_the_vectors(
    english_file: Path, algorithm: str, architecture: str
) -> None:
    heard: list[tuple[int, int]] = []
    options = {**SMALL, "algorithm": algorithm, "architecture": architecture}
    files = [TextFile(english_file)]
    one, two = (
        train_vectors(files, seed=3, progress=lambda *e: heard.append(e), **options)
        for _ in range(2)
    )
    assert one.words == two.words
    assert "<eos>" in one.words[:3]
    np.testing.assert_array_equal(one.matrix, two.matrix)
    assert one.matrix.shape == (len(one.words), 6)
    assert heard == 2 * [(1, 2), (2, 2)]
    lines = english_file.read_text("utf-8").splitlines()
    assert one.tokens == sum(len(line.split()) + 1 for line in lines if line)
    other = train_vectors(files, seed=4, **options)
    assert (other.matrix != one.matrix).any()


def test_sentences(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a b\n\nc <eos> d\n" + "x " * 10_001 + "\nno end")
    files = [TextFile(path)]
    read = list(_Sentences(files, "word", None))
    assert read[:2] == [["a", "b", "<eos>"], ["c", "<unk>", "d", "<eos>"]]
    assert [len(sentence) for sentence in read[2:]] == [10_000, 2, 3]
    assert list(_Sentences(files, "word", None)) == read
    path.write_text("a b\nc")
    characters = list(_Sentences(files, "char", None))
    assert characters == [["a", "▁", "b", "\\x0a"]]


def test_what_cannot_be_trained(
    english_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [TextFile(english_file)]
    with pytest.raises(InputError, match="come 1000 times, found 0. Give more text"):
        train_vectors(files, minimum_count=1000)
    with pytest.raises(InputError, match="algorithm to be word2vec or fasttext"):
        train_vectors(files, algorithm="glove")
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("gensim"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r"pip install 'keras-rnnlm\[vectors\]'"):
        train_vectors(files)


@pytest.mark.parametrize("rows", [2048, 7])
def test_neighbours_are_gensims(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_rnnlm.data import vector_neighbours

    monkeypatch.setattr(vector_neighbours, "_ROWS", rows)
    gensims = keyed(WORDS, 6)
    gensims.save_word2vec_format(str(tmp_path / "a.txt"))
    file = VectorFile(tmp_path / "a.txt")
    heard: list[tuple[int, int]] = []
    asked = ["w7", "W11"]
    found = neighbours_in_file(
        file, asked, 5, case="any", progress=lambda *event: heard.append(event)
    )
    inside = neighbours_in_matrix(WORDS, chance(40, 6), ["w7", "w11"], 5)
    for one, two, word in zip(found, inside, ("w7", "w11"), strict=True):
        wanted = gensims.most_similar(word, topn=5)
        assert one.word == two.word == word
        for mine in (one.near, two.near):
            assert [name for name, _ in mine] == [name for name, _ in wanted]
            np.testing.assert_allclose(
                [c for _, c in mine], [c for _, c in wanted], rtol=1e-5
            )
    assert heard[-1][0] == heard[-1][1]
    (near,) = neighbours_in_file(file, ["w1"], 99, first=10)
    others = [f"w{i}" for i in range(10) if i != 1]
    assert sorted(name for name, _ in near.near) == others
    with pytest.raises(InputError, match="has no vector for 'xyz'"):
        neighbours_in_file(file, ["w1", "xyz"])
    with pytest.raises(InputError, match="not in the model's vocabulary of 40"):
        neighbours_in_matrix(WORDS, chance(40, 6), ["xyz"], 3)


def test_a_vector_of_zeros_has_no_neighbours_to_speak_of(tmp_path: Path) -> None:
    matrix = np.array([[1, 0], [0, 0], [1, 1]], "f4")
    write_vectors(tmp_path / "a.txt", ["a", "b", "c"], matrix)
    (near,) = neighbours_in_file(VectorFile(tmp_path / "a.txt"), ["a"])
    assert near.near == [("c", pytest.approx(0.5**0.5)), ("b", 0.0)]
