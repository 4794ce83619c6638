"""Tokenizers: one set of ids, whoever makes them; text that comes back."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tokenizers as library
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data import vocabulary
from keras_rnnlm.data.text import TextFile, find_files, safe_blocks
from keras_rnnlm.data.tokenizers import (
    CharacterTokenizer,
    PieceTokenizer,
    Tokenizer,
    WordTokenizer,
    choose_kind,
    train_tokenizer,
)
from keras_rnnlm.errors import InputError

TRAINING = (
    "the cat <unk> sat on the mat , the dog saw\tthe cat .\n\n"
    "don't stop\u3000now \u2028 naïve 水调歌头 明月几时有，把酒问青天。 "
    "<eos> \U0001d11e\n"
)
# Every kind of white space, what only looks like it, and half-words of the vocabulary.
PIECES = st.sampled_from(
    ["the", " ", "cat", "\n", "\t", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0"]
    + ["\u2028", "\u2029", "\u3000", "\u200b", "\ufeff", "\u180e", "\0", "\ufdd0"]
    + [
        "<unk>",
        "<eos>",
        "<",
        "𝄞",
        "水",
        "，",
        "。",
        "明月",
        "'s",
        "don't",
        "é",
        "e\u0301",
    ]
)
TEXTS = st.lists(PIECES | st.characters(exclude_categories=["Cs"]), max_size=25).map(
    lambda pieces: "".join(pieces).replace("\r", "")
)


def text_file(folder: Path, text: str, name: str = "text") -> list[TextFile]:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return [TextFile(path)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    files = text_file(tmp_path_factory.mktemp("training"), TRAINING * 20)
    made = {kind: train_tokenizer(files, kind) for kind in ("char", "bpe", "unigram")}
    made["word"] = train_tokenizer(files, "word", minimum_count=20)
    unmarked = text_file(files[0].path.parent, TRAINING.replace("<unk>", "x"), "no-unk")
    made["word without unk"] = train_tokenizer(unmarked, "word", vocabulary_size=12)
    return made


NAMES = ["char", "word", "word without unk", "bpe", "unigram"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_the_library_gives_the_same_ids(
    trained: dict[str, Tokenizer], name: str, text: str
) -> None:
    tokenizer = trained[name]
    saved = library.Tokenizer.from_str(tokenizer.to_json())
    for lines in (text + "\n", text):
        ids = tokenizer.encode(lines, final=False)
        assert ids.dtype == np.int32
        assert ids.tolist() == saved.encode(lines).ids


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_a_tokenizer_comes_back_from_its_json(
    trained: dict[str, Tokenizer], name: str, text: str
) -> None:
    tokenizer = trained[name]
    stored = json.loads(json.dumps(tokenizer.settings()))
    for again in (
        Tokenizer.from_json(tokenizer.to_json(), stored),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert type(again) is type(tokenizer)
        assert again.settings() == tokenizer.settings()
        assert again.tokens == tokenizer.tokens
        assert (again.eos_id, again.unk_id) == (tokenizer.eos_id, tokenizer.unk_id)
        ids, unknown = tokenizer.encode_with_oov(text)
        ids_again, unknown_again = again.encode_with_oov(text)
        assert ids.tolist() == ids_again.tolist()
        assert unknown.tolist() == unknown_again.tolist()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(text=TEXTS, size=st.integers(1, 20))
def test_blocks_encoded_apart_are_the_whole(
    trained: dict[str, Tokenizer],
    name: str,
    text: str,
    size: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tokenizer = trained[name]
    text = text.replace("\0", "").lstrip("\ufeff")
    (file,) = text_file(tmp_path_factory.mktemp("blocks"), text)
    parts = [
        tokenizer.encode(block, final=False)
        for block in safe_blocks(file, size, tokenizer.last_cut)
    ]
    whole = tokenizer.encode(text, final=False)
    assert np.concatenate([np.zeros(0, np.int32), *parts]).tolist() == whole.tolist()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_decoding_one_by_one_is_decoding_all(
    trained: dict[str, Tokenizer], name: str, data: st.DataObject
) -> None:
    tokenizer = trained[name]
    size = tokenizer.vocabulary_size
    ids = data.draw(st.lists(st.integers(0, size - 1), max_size=30))
    decoder = tokenizer.decoder()
    pieces = [decoder.push(token) for token in ids]
    assert "".join(pieces) + decoder.flush() == tokenizer.decode(ids)
    # After a flush a decoder is as new.
    assert "".join(map(decoder.push, ids)) + decoder.flush() == tokenizer.decode(ids)
    for outside in (-1, size):
        with pytest.raises(InputError, match="Expected an id from 0"):
            tokenizer.decode([outside])


@pytest.mark.parametrize("name", ["bpe", "unigram"])
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_pieces_bring_back_every_text(
    trained: dict[str, Tokenizer], name: str, text: str
) -> None:
    tokenizer = trained[name]
    ids, unknown = tokenizer.encode_with_oov(text, final=False)
    assert tokenizer.decode(ids.tolist()) == text
    assert unknown.size == 0
    assert (ids == tokenizer.eos_id).sum() == text.count("\n")


@given(text=TEXTS)
def test_characters_bring_back_what_they_know(
    trained: dict[str, Tokenizer], text: str
) -> None:
    tokenizer = trained["char"]
    known = "".join(c if c in TRAINING else "\ufffd" for c in text)
    ids, unknown = tokenizer.encode_with_oov(text)
    assert len(ids) == len(text)
    assert tokenizer.decode(ids.tolist()) == known
    assert unknown.tolist() == [at for at, c in enumerate(text) if c not in TRAINING]
    assert tokenizer.encode("\ud800").tolist() == [tokenizer.unk_id]


@given(text=TEXTS)
def test_words_are_what_stands_between_white_space(
    trained: dict[str, Tokenizer], text: str
) -> None:
    tokenizer = trained["word"]
    expected = []
    unknown = []
    for line in text.split("\n"):
        for word in line.split():
            if word == "<eos>" or word not in tokenizer.tokens:
                unknown.append(len(expected))
                word = "<unk>"
            expected.append(word)
        expected.append("<eos>")
    expected.pop()
    ids, positions = tokenizer.encode_with_oov(text, final=False)
    assert [tokenizer.tokens[token] for token in ids] == expected
    assert positions.tolist() == unknown


# Line ends


@pytest.mark.parametrize("name", ["word", "bpe", "unigram"])
def test_an_unterminated_last_line_is_closed(
    trained: dict[str, Tokenizer], name: str
) -> None:
    tokenizer = trained[name]
    assert tokenizer.start_id == tokenizer.eos_id == tokenizer.line_end_id is not None
    closed = tokenizer.encode("the cat\n\n").tolist()
    assert closed[-2:] == [tokenizer.eos_id] * 2
    assert tokenizer.encode("the cat\n").tolist() == closed[:-1]
    assert tokenizer.encode("the cat").tolist() == closed[:-1]
    assert tokenizer.encode("the cat", final=False).tolist() == closed[:-2]
    assert tokenizer.encode("").tolist() == []


def test_characters_add_nothing(trained: dict[str, Tokenizer], tmp_path: Path) -> None:
    tokenizer = trained["char"]
    assert tokenizer.start_id is tokenizer.eos_id is None
    assert tokenizer.tokens[tokenizer.encode("\n")[0]] == "\n"
    assert tokenizer.line_end_id == tokenizer.encode("\n")[0]
    one_line = train_tokenizer(text_file(tmp_path, "one line"), "char")
    assert one_line.line_end_id is None


# Unknown words


def test_unk_in_the_training_text_is_a_word(trained: dict[str, Tokenizer]) -> None:
    with_unk, without = trained["word"], trained["word without unk"]
    for tokenizer, unknown in ((with_unk, [2]), (without, [0, 2])):
        ids, positions = tokenizer.encode_with_oov("<unk> the nonsense\n")
        assert ids[0] == ids[2] == tokenizer.unk_id
        assert positions.tolist() == unknown
    assert with_unk.tokens.count("<unk>") == without.tokens.count("<unk>") == 1


def test_penn_treebank_has_its_ten_thousand_words(
    needs_data: Callable[[str], Path],
) -> None:
    folder = needs_data("ptb")
    tokenizer = train_tokenizer(find_files(folder / "train.txt"))
    assert tokenizer.kind == "word"
    assert tokenizer.vocabulary_size == 10_000
    (test,) = find_files(folder / "test.txt")
    ids, unknown = tokenizer.encode_with_oov(test.read())
    assert len(ids) == 82_430
    assert unknown.size == 0


# Vocabularies


def test_ids_go_by_frequency_then_code_point(tmp_path: Path) -> None:
    files = text_file(tmp_path, "b a b c\na é b\n")
    words = train_tokenizer(files, "word")
    assert words.tokens == ["<eos>", "<unk>", "b", "a", "c", "é"]
    characters = train_tokenizer(files, "char")
    assert characters.tokens == ["<unk>", " ", "b", "\n", "a", "c", "é"]


def test_a_vocabulary_is_bounded_by_size_and_count(tmp_path: Path) -> None:
    files = text_file(tmp_path, "b a b c\na é b\n")
    assert train_tokenizer(files, "word", 3).tokens == ["<eos>", "<unk>", "b"]
    assert train_tokenizer(files, "word", minimum_count=2).tokens[2:] == ["b", "a"]
    assert train_tokenizer(files, "char", 3).tokens == ["<unk>", " ", "b"]
    assert train_tokenizer(files, "char", minimum_count=3).tokens[1:] == [" ", "b"]
    assert train_tokenizer(files, "bpe", 257).vocabulary_size == 257


def test_a_vocabulary_file(tmp_path: Path) -> None:
    files = text_file(tmp_path, "b a b c\n")
    listed = tmp_path / "words"
    listed.write_bytes(b"<unk>\r\nzebra\r\nb\r\n<eos>")
    tokenizer = train_tokenizer(files, vocabulary_file=listed)
    assert tokenizer.tokens == ["<eos>", "<unk>", "zebra", "b"]
    assert tokenizer.encode_with_oov("<unk> b\n")[1].tolist() == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n\nb\n", "line 2: expected one word, found an empty line"),
        ("a\nb c\n", "line 2: expected one word, found 2 words"),
        ("a\nb\na\n", "line 3: 'a' already stands in line 1"),
        ("", "empty"),
    ],
)
def test_a_vocabulary_file_with_mistakes(
    content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "words").write_text(content)
    with pytest.raises(InputError, match=message):
        train_tokenizer(
            text_file(tmp_path, "a b\n"), vocabulary_file=tmp_path / "words"
        )


def test_too_many_different_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "MOST_WORDS", 100)
    rare = "".join(f"word{number} " for number in range(120_000))
    files = text_file(tmp_path, "the the the cat cat\n" + rare)
    with pytest.raises(InputError, match="more than 100 different words"):
        train_tokenizer(files, "word")
    assert train_tokenizer(files, "word", 4).tokens[2:] == ["the", "cat"]


def test_progress_is_told(tmp_path: Path) -> None:
    files = text_file(tmp_path, "some words here\n" * 100)
    for kind in ("char", "word", "bpe", "unigram"):
        told: list[tuple[int, int]] = []
        train_tokenizer(
            files, kind, progress=lambda *done, told=told: told.append(done)
        )
        assert told[-1] == (1600, 1600)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_training_pieces_twice_gives_the_same(
    kind: str, tmp_path: Path, english_text: str, chinese_text: str
) -> None:
    files = text_file(tmp_path, english_text + chinese_text)
    first = train_tokenizer(files, kind, 500)
    assert first.to_json() == train_tokenizer(files, kind, 500).to_json()
    assert 257 <= first.vocabulary_size <= 500


# Choosing


def test_the_kind_suits_the_text(needs_data: Callable[[str], Path]) -> None:
    for name, kind in (
        ("ptb/train.txt", "word"),
        ("shakespeare/input.txt", "char"),
        ("songci/train.txt", "char"),
    ):
        folder, file = name.split("/")
        (text,) = find_files(needs_data(folder) / file)
        sample = next(text.blocks(500_000))
        assert choose_kind(sample)[0] == kind


def test_a_reason_is_given() -> None:
    assert choose_kind("the cat sat on the mat\nthe dog sat\n") == (
        "word",
        "Words, because spaces part them from each other and from marks.",
    )
    raw = "It was late. The cat, he said, had gone!\n"
    assert choose_kind(raw)[0] == "char"
    assert choose_kind(raw, 5_000_000)[0] == "bpe"
    for characters in (None, 5_000_000):
        kind, reason = choose_kind(raw, characters, vectors=True)
        assert kind == "word" and "because word vectors are given" in reason
    assert "no spaces" in choose_kind("明月几时有，把酒问青天。")[1]
    assert choose_kind("明月几时有，把酒问青天。", vectors=True)[0] == "char"


def test_words_of_a_script_without_spaces(tmp_path: Path, chinese_text: str) -> None:
    files = text_file(tmp_path, "不知天上宫阙，今夕是何年。我欲乘风归去。\n" * 3)
    with pytest.raises(InputError) as caught:
        train_tokenizer(files, "word")
    for way in ("--tokenizer char", "--tokenizer bpe", "--segmenter jieba"):
        assert way in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "words"}, "Did you mean 'word'"),
        ({"minimum_count": 0}, "minimum_count of 1 or more"),
        ({"kind": "word", "vocabulary_size": 2}, "above 2"),
        ({"kind": "char", "vocabulary_size": 1}, "above 1"),
        ({"kind": "bpe", "vocabulary_size": 256}, "above 256"),
        ({"kind": "bpe", "minimum_count": 2}, "vocabulary_size instead"),
        ({"kind": "char", "segmenter": "jieba"}, "go with --tokenizer word"),
        ({"segmenter": "jeiba"}, "Did you mean 'jieba'"),
        ({"kind": "word", "minimum_count": 99}, "would be empty"),
        ({"kind": "word", "vocabulary_file": "words", "vocabulary_size": 9}, "give no"),
    ],
)
def test_settings_that_cannot_be(
    arguments: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train_tokenizer(text_file(tmp_path, "a b c\n"), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"model": {"type": "BPE"}}', "null", '{"model": {"vocab": {}}}']
    + ['{"model": {"type": "WordLevel", "vocab": {"<unk>": 1}}}']
    + ['{"model": {"type": "WordLevel", "vocab": {"a": 0}}}']
    + ['{"model": {"type": "WordLevel", "vocab": {"<eos>": 0}}}'],
)
def test_json_of_something_else(text: str) -> None:
    with pytest.raises(InputError):
        Tokenizer.from_json(text)


def test_vocabularies_that_cannot_be() -> None:
    with pytest.raises(InputError, match="one character"):
        CharacterTokenizer(["ab"])
    for words in (["a", "a"], ["<eos>"], ["<unk>"], ["\ufdd0"]):
        with pytest.raises(InputError, match="each word of the vocabulary once"):
            WordTokenizer(words, unk_is_word=False)
    with pytest.raises(InputError, match="piece a byte"):
        bare = library.Tokenizer(library.models.BPE())
        PieceTokenizer("bpe", bare.to_str())


def test_a_list_of_words_is_one_of_characters() -> None:
    names = "emma\nolivia\nava\n\nmary ann\nisabella\nsophia\ncharlotte\n"
    kind, reason = choose_kind(names)
    assert kind == "char" and "a list of words" in reason
    assert choose_kind(names, vectors=True)[0] == "word"
    # One token a line, as taggers write them, is not: words come back.
    assert choose_kind("the\ncat\nsaw\nthe\ndog\n" * 3)[0] == "word"


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "hi there", "label": 1}\n{"text": "by now", "label": 0}\n',
        "كتبت له، ثم قرأ الكتاب؟ نعم، قرأه كله.\n",
        "He said (it was late), and went; 'well', I said.\n",
    ],
)
def test_marks_are_joined_to_words_in_other_ways(text: str) -> None:
    assert choose_kind(text)[0] == "char"
