"""Files of word vectors that are empty, damaged, hostile, or something else."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.data import vector_files, vector_head
from keras_rnnlm.data.vector_files import VectorFile
from keras_rnnlm.data.vectors import read_vectors
from keras_rnnlm.data.word_tokenizer import WordTokenizer
from keras_rnnlm.errors import InputError

ONE = np.array([0.5, 2.0, -1.0], "<f4").tobytes()
NAN = np.array([0.5, np.nan, -1.0], "<f4").tobytes()

DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n \n", "the file is empty"),
    "header alone": (b"3 2\n", "announces 3 words, and nothing follows"),
    "no words announced": (b"0 3\n", "line 1: expected the number of words"),
    "no width": (b"2 0\ncat\n", "line 1: expected the number of words"),
    "10^12 words": (
        b"1000000000000 3\ncat 1 2 3\n",
        "line 1 announces 1,000,000,000,000 words with 3 numbers each, which take",
    ),
    "10^12 numbers": (b"2 1000000000000\ncat 1 2 3\n", "1 to 65,536"),
    "huge numbers": (b"9" * 40 + b" 3\ncat 1 2 3\n", "line 2: expected 1 numbers"),
    "10^12 words in binary": (b"1000000000000 3\ncat " + ONE, "line 1 announces"),
    "more announced": (b"4 1\ncat 1\nthe 2.12345678\n", "announces 4 words, the file"),
    "fewer announced": (b"1 1\ncat 1\nthe 2\n", "announces 1 words, the file holds 2"),
    "another width": (b"2 3\ncat 1 2 3\nthe 1 22\n", "line 3: expected a word and 3"),
    "another width announced": (
        b"2 3\ncat 1 22 3 4\nthe 1 2 3 4\n",
        "line 2: expected 3 numbers after the word 'cat', found 4:",
    ),
    "narrower": (b"cat 1 2\nthe 1\n", "line 2: expected a word and 2 numbers, found 2"),
    "wider": (
        b"cat 1 2\nthe 1 2 3\n",
        "line 2: expected 2 numbers after the word 'the', found 3:",
    ),
    "wider elsewhere": (b"cat 1 2\nxyz 1 2 3 4\n", "line 2: expected 2 numbers"),
    "cut": (b"cat 1 2\nthe 1", "line 2: expected a word and 2 numbers"),
    "empty line": (b"cat 1 2\n\nthe 1 2\n", "line 2: .* found an empty line"),
    "no number": (b"cat 1 2\nthe 1 x\n", "line 2: expected numbers after the word"),
    "underscore": (b"cat 1 2\nthe 1 2_0\n", "line 2: expected numbers after the word"),
    "nan": (b"cat 1 2\nthe 1 nan\n", "line 2: .* found nan in the vector of 'the'"),
    "infinite": (b"cat 1 2\nthe -inf 1\n", "line 2: .* found -inf in the vector"),
    "too large": (b"cat 1 2\nthe 1 1e39\n", "line 2: .* found inf in the vector"),
    "nan in binary": (
        b"2 3\ncat " + ONE + b"the " + NAN,
        "word 2: .* found nan in the vector of 'the'",
    ),
    "binary cut": (
        b"2 3\nxyz " + ONE + b"the " + ONE[:-1],
        "word 2: expected 2 words, as",
    ),
    "more in binary": (
        b"1 3\ncat " + ONE + b"the " + ONE,
        "announces 1 words, but more bytes follow",
    ),
    "no word's end": (
        b"9 3\ncat " + ONE + b"x" * 200,
        "word 2: expected a space within",
    ),
    "no known word": (
        b"chat 1 2\nchien 3 4\n",
        "found none among 2 words. The file begins with 'chat', 'chien', the "
        "vocabulary with 'cat', 'the'",
    ),
    "another encoding": (
        "国 1 2\n狗 3 4\n".encode("gb18030"),
        "2 of its words are not UTF-8: convert the file",
    ),
    "UTF-16": ("cat 1 2\n".encode("utf-16"), "this is UTF-16"),
    "prose": (b"It was a dark night.\n", "found 'It was a dark night.'"),
    "header and prose": (
        b"3 2\nIt was a dark night.\n",
        "found 'It was a dark night.'",
    ),
    "zip": (b"PK\x03\x04" + bytes(50), "this is a zip archive"),
    "pickle": (b"\x80\x04\x95" + bytes(50), "this is a Python pickle"),
    "fastText's model": (b"\xba\x16\x4f\x2f" + bytes(50), "Give the .vec file"),
    "NumPy": (b"\x93NUMPY" + bytes(50), "this is a NumPy array"),
    "zeros": (bytes(100), "a word and its numbers in each line; found"),
    "no line end": (b"cat " + b"1 " * 600, "no line end|expected a line end"),
}


def tokenizer() -> WordTokenizer:
    return WordTokenizer(["cat", "the", "猫"], unk_is_word=False)


@pytest.mark.parametrize("block", [1 << 22, 5])
@pytest.mark.parametrize("case", DAMAGED)
def test_one_clear_error(
    case: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, message = DAMAGED[case]
    path = tmp_path / "vectors"
    path.write_bytes(content)
    monkeypatch.setattr(vector_files, "_BLOCK", block)
    monkeypatch.setattr(vector_files, "_LONGEST_WORD", 100)
    if case == "no line end":
        monkeypatch.setattr(vector_files, "_LONGEST_LINE", 1000)
        monkeypatch.setattr(vector_head, "_LONGEST_LINE", 1000)
    with pytest.raises(InputError, match=message) as caught:
        read_vectors(path, tokenizer())
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(".")
    assert "\n" not in said


def test_lines_of_other_words_may_hold_any_numbers(tmp_path: Path) -> None:
    """Only their width is looked at: what is not used costs next to nothing."""
    path = tmp_path / "vectors"
    path.write_bytes(b"xyz 1 nan\ncat 1 2\nuvw x y\n")
    assert read_vectors(path, tokenizer()).rows.tolist() == [[1, 2]]


def test_binary_that_ends_early_in_a_compressed_file(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(b"5 3\ncat " + ONE + b"the " + ONE))
    with pytest.raises(InputError, match="word 3: expected 5 words, as the first line"):
        read_vectors(path, tokenizer())


def test_what_is_announced_takes_no_memory(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(b"999999999999 60000\ncat 1 2 3\n"))
    tracemalloc.start()
    with pytest.raises(InputError, match="line 2: expected a word and 60000 numbers"):
        read_vectors(path, tokenizer())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: cannot be read .No such file"):
        VectorFile(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read .Is a directory"):
        VectorFile(tmp_path)


def test_a_pipe_cannot_be_read_twice() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"cat 1 2\n")
        with pytest.raises(InputError, match="received a pipe. Write what comes out"):
            VectorFile(f"/dev/fd/{reading}")
    finally:
        os.close(reading)
        os.close(writing)
