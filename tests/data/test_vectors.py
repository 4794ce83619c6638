"""Word vectors of a vocabulary, read from files that gensim has written."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_rnnlm as krl
from keras_rnnlm.config import CHOICES
from keras_rnnlm.data import vector_files
from keras_rnnlm.data.character_tokenizer import CharacterTokenizer
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.data.vector_coverage import coverage_of
from keras_rnnlm.data.vector_files import VectorFile
from keras_rnnlm.data.vector_words import (
    CASES,
    HOW,
    NORMALIZATIONS,
    file_word,
    spellings,
    written_words,
)
from keras_rnnlm.data.vector_writer import format_of, write_vectors
from keras_rnnlm.data.vectors import WordVectors, read_vectors
from keras_rnnlm.data.vocabulary import token_counts
from keras_rnnlm.data.word_tokenizer import WordTokenizer
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.setting_checks import NORMALIZATIONS as SETTING
from tests.data.gensim_files import chance, keyed

WORDS = ["the", "cat", "sat", "naïve", "猫", "of", "mat"]
VOCABULARY = ["cat", "the", "dog", "猫", "mat"]


def words(*vocabulary: str) -> WordTokenizer:
    return WordTokenizer(vocabulary or VOCABULARY, unk_is_word=False)


def found(vectors: WordVectors, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    tokens = [tokenizer.tokens[i] for i in vectors.ids.tolist()]
    return dict(zip(tokens, vectors.rows, strict=True))


def gensims(path: Path, binary: bool = False, header: bool = True) -> None:
    keyed(WORDS).save_word2vec_format(str(path), binary=binary, write_header=header)


def as_word2vec_c_does(path: Path) -> None:
    """A space before each line end of text, a line end behind each vector."""
    gensims(path)
    head, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(head + b"\n" + rest.replace(b"\n", b" \n"))


def binary_with_line_ends(path: Path) -> None:
    rows = zip(WORDS, chance(len(WORDS), 5), strict=True)
    body = b"".join(f"{w} ".encode() + r.tobytes() + b"\n" for w, r in rows)
    path.write_bytes(f"{len(WORDS)} 5\n".encode() + body)


def changed(**changes: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        gensims(path, header=False)
        content = path.read_bytes()
        for old, new in (("end", b"\n"), ("gap", b" ")):
            content = content.replace(new, changes.get(old, new))
        path.write_bytes(changes.get("front", b"") + content.rstrip(b"\r\n"))

    return write


WAYS: dict[str, Callable[[Path], None]] = {
    "a.txt": gensims,
    "a.bin": lambda path: gensims(path, binary=True),
    "a.txt.gz": gensims,
    "a.bin.gz": lambda path: gensims(path, binary=True),
    "glove.txt": lambda path: gensims(path, header=False),
    "c.txt": as_word2vec_c_does,
    "c.bin": binary_with_line_ends,
    "windows.txt": changed(end=b"\r\n", front=b"\xef\xbb\xbf"),
    "tabs.txt": changed(gap=b"\t"),
    "gaps.txt": changed(gap=b"  "),
}


@pytest.mark.parametrize("block", [1 << 22, 7])
@pytest.mark.parametrize("name", WAYS)
def test_every_format(
    name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WAYS[name](tmp_path / name)
    monkeypatch.setattr(vector_files, "_BLOCK", block)
    tokenizer, heard = words(), []
    vectors = krl.read_vectors(
        tmp_path / name, tokenizer, progress=lambda *event: heard.append(event)
    )
    assert (vectors.width, vectors.entries) == (5, len(WORDS))
    wanted = dict(zip(WORDS, chance(len(WORDS), 5), strict=True))
    rows = found(vectors, tokenizer)
    assert set(rows) == {"cat", "the", "猫", "mat"}
    for word, row in rows.items():
        np.testing.assert_array_equal(row, wanted[word])
    assert heard[-1][1] == (tmp_path / name).stat().st_size
    if not name.endswith(".gz"):
        assert heard[-1][0] == heard[-1][1]


def test_numbers_are_made_of_the_vocabularys_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gensims(tmp_path / "a.txt")
    asked: list[bytes] = []
    numbers = VectorFile.numbers

    def watched(self: VectorFile, entry: Any) -> Any:
        asked.append(entry.word)
        return numbers(self, entry)

    monkeypatch.setattr(VectorFile, "numbers", watched)
    read_vectors(tmp_path / "a.txt", words("cat", "mat"))
    assert asked == [b"cat", b"mat"]


def test_words_with_spaces(tmp_path: Path) -> None:
    """As in GloVe's file of 840 billion tokens."""
    path = tmp_path / "glove.txt"
    path.write_text(". . . 1 2\ncat 3 4\ncat name@domain.com 5 6\n 7 8\nthe 9 0\n")
    vectors = read_vectors(path, words())
    assert {w: r.tolist() for w, r in found(vectors, words()).items()} == {
        "cat": [3, 4],
        "the": [9, 0],
    }
    every = [entry.word for entry in VectorFile(path).entries(None)]
    assert every == [b". . .", b"cat", b"cat name@domain.com", b"", b"the"]


def test_other_spellings(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    lines = ["cat 1", "Cat 2", "CAT 3", "cafe 4", "## 5", "don't 6", "fi 7", "xi 8"]
    path.write_text("\n".join(lines) + "\n")
    tokenizer = words("Cat", "cAt", "dog", "Café", "42", "don’t", "ﬁ", "Ⅺ")

    def values(case: str, *normalize: str) -> dict[str, list[Any]]:
        vectors = read_vectors(path, tokenizer, case=case, normalize=normalize)
        rows = found(vectors, tokenizer)
        how = [HOW[i] for i in vectors.how.tolist()]
        return {w: [int(rows[w][0]), h] for w, h in zip(rows, how, strict=True)}

    assert values("exact") == {"Cat": [2, "exact"]}
    assert values("lower") == {"Cat": [2, "exact"], "cAt": [1, "case"]}
    assert values("any", "nfkc", "accents", "quotes", "digits") == {
        "Cat": [2, "exact"],
        "cAt": [1, "case"],
        "Café": [4, "normalized"],
        "42": [5, "normalized"],
        "don’t": [6, "normalized"],
        "ﬁ": [7, "normalized"],
        "Ⅺ": [8, "normalized"],
    }
    # The best spelling counts wherever it stands.
    path.write_text("CAT 3\ncat 1\n")
    assert values("any")["cAt"] == [1, "case"]
    assert spellings("1.5", "exact", ["zeros"]) == {
        "1.5": "exact",
        "0.0": "normalized",
    }


def test_settings_know_the_same_names() -> None:
    assert CHOICES["vectors_case"] == CASES
    assert tuple(NORMALIZATIONS) == SETTING
    for options in ({"case": "lowr"}, {"normalize": ["nfkd"]}):
        with pytest.raises(ConfigError, match="Did you mean"):
            read_vectors("nowhere", words(), **options)  # type: ignore[arg-type]


def test_line_end_and_unknown_word(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("</s> 1\n<UNK> 2\ncat 3\n")
    vectors = read_vectors(path, words())
    assert vectors.ids.tolist() == [0, 1, 2]
    path.write_text("</s> 1\n<unk> 2\n")
    with pytest.raises(InputError, match="found none among 2 words"):
        read_vectors(path, words())


def test_the_first_of_several_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"cat 1\ncat 2\nthe 3\n\xff\xfe 4\ncat 5\ntwo 1\ntwo 2\n")
    vectors = read_vectors(path, words())
    assert (vectors.duplicates, vectors.not_utf8, vectors.entries) == (2, 1, 7)
    assert found(vectors, words())["cat"] == 1


def test_words_without_a_vector_are_like_those_with_one() -> None:
    rows = np.random.default_rng(0).normal([3.0, -1.0], [0.1, 2.0], (500, 2))
    vectors = WordVectors(
        "file", 3000, np.arange(500), rows.astype("f4"), np.zeros(500, "u1")
    )
    matrix = vectors.matrix(seed=1)
    np.testing.assert_array_equal(matrix[:500], vectors.rows)
    np.testing.assert_allclose(matrix[500:].mean(0), rows.mean(0), atol=0.15)
    np.testing.assert_allclose(matrix[500:].std(0), rows.std(0), rtol=0.1)
    np.testing.assert_array_equal(matrix, vectors.matrix(seed=1))
    assert (matrix[500:] != vectors.matrix(seed=2)[500:]).all()
    few = WordVectors(
        "file", 50, np.array([3]), np.full((1, 4), 0.5, "f4"), np.zeros(1, "u1")
    )
    assert np.unique(few.matrix(0)).size > 100  # and not all of them the same


def test_coverage(tmp_path: Path) -> None:
    text = ["the cat sat on the mat", "the dog Sat <unk>"]
    corpus = Corpus.from_texts(text, tokenizer="word")
    gensims(tmp_path / "a.txt")
    vectors = read_vectors(tmp_path / "a.txt", corpus.tokenizer, case="lower")
    counts = token_counts(corpus.train.ids, corpus.vocabulary_size)
    covered = coverage_of(vectors, corpus.tokenizer, counts, most=2)
    assert (covered.types, covered.types_found) == (8, 5)
    assert (covered.exact, covered.case, covered.normalized) == (4, 1, 0)
    assert (covered.tokens, covered.tokens_found) == (10, 7)
    assert covered.missing == [("<unk>", 1), ("dog", 1)]
    assert covered.sentence() == (
        "Word vectors: 5 of 8 words (62.5%), 70.0% of the text, have one; "
        "the most frequent without: <unk>, dog."
    )
    alone = coverage_of(vectors, corpus.tokenizer)
    assert (alone.types, alone.tokens, alone.missing[0]) == (7, None, ("dog", None))
    assert alone.to_dict()["missing"] == [["dog", None], ["on", None]]


@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.txt.gz", "a.bin.gz"])
def test_gensim_reads_what_is_written(name: str, tmp_path: Path) -> None:
    matrix = chance(len(WORDS), 3)
    write_vectors(tmp_path / name, WORDS, matrix)
    binary = format_of(name) == "binary"
    read = KeyedVectors.load_word2vec_format(str(tmp_path / name), binary=binary)
    assert read.index_to_key == WORDS
    np.testing.assert_array_equal(read.vectors, matrix)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match="received 'a' 2 times"):
        write_vectors(tmp_path / name, ["a", "a"], matrix[:2])
    write_vectors(tmp_path / name, WORDS, matrix)
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("vocabulary", "matrix", "message"),
    [
        (["a b"], np.ones((1, 2)), "without white space, received 'a b'"),
        (["a", "b"], np.ones((1, 2)), "each of 2 words, received an array of shape"),
        (["a"], np.full((1, 2), np.nan), "Expected finite numbers"),
    ],
)
def test_what_cannot_be_written(
    vocabulary: list[str], matrix: np.ndarray, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        write_vectors(tmp_path / "a.txt", vocabulary, matrix)
    assert not list(tmp_path.iterdir())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=20, unique_by=file_word),
    st.integers(1, 4),
    st.sampled_from(["text", "binary"]),
    st.integers(1, 99),
)
def test_any_token_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    tokens: list[str],
    width: int,
    format: str,
    block: int,
) -> None:
    tokens = [token for token in tokens if token] or ["a"]
    path = tmp_path_factory.mktemp("any") / "a"
    matrix = chance(len(tokens), width)
    write_vectors(path, [file_word(token) for token in tokens], matrix, format)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_files, "_BLOCK", block)
        file = VectorFile(path)
        entries = list(file.entries(None))
    assert [e.word.decode() for e in entries] == [file_word(t) for t in tokens]
    for entry, row in zip(entries, matrix, strict=True):
        np.testing.assert_array_equal(file.numbers(entry), row)


def test_characters_and_pieces_come_back(english_text: str, tmp_path: Path) -> None:
    characters = CharacterTokenizer(sorted({*english_text, "▁", "\u3000"}))
    corpus = Corpus.from_texts(english_text.split("\n"), tokenizer="bpe")
    for tokenizer in (characters, corpus.tokenizer):
        size = tokenizer.vocabulary_size
        path = tmp_path / f"{tokenizer.kind}.txt"
        write_vectors(path, written_words(tokenizer), chance(size, 2))
        vectors = read_vectors(path, tokenizer)
        np.testing.assert_array_equal(vectors.ids, np.arange(size))
        np.testing.assert_array_equal(vectors.rows, chance(size, 2))
    assert file_word(" the") == "▁the"
    assert file_word("\n") == "\\x0a"
    assert file_word("▁") == "\\u2581"
    assert file_word("\\x0a") == "\\x5cx0a"


def test_compressed_files_end_where_they_should(tmp_path: Path) -> None:
    gensims(tmp_path / "a.txt.gz")
    content = (tmp_path / "a.txt.gz").read_bytes()
    (tmp_path / "b.gz").write_bytes(content[:-20])
    with pytest.raises(InputError, match="b.gz: cannot be read .*truncated"):
        read_vectors(tmp_path / "b.gz", words())
    (tmp_path / "c.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(InputError, match="the file is empty"):
        VectorFile(tmp_path / "c.gz")
