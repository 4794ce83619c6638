"""Text files: what is found, what is read, how it is split."""

import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data import blocks as blocks_module
from keras_rnnlm.data import encodings, samples
from keras_rnnlm.data.text import (
    TextFile,
    find_files,
    held_out_tail,
    last_cut_anywhere,
    last_cut_at_clause,
    last_cut_at_space,
    safe_blocks,
    sample_text,
    shared_lines,
    split_files,
    uses_spaces,
)
from keras_rnnlm.errors import InputError

NEWLINES = st.text(alphabet="ab é水𝄞\t\r\n\u2028\x85", max_size=60)
LINES = st.text(alphabet="ab \n水，。", max_size=80)


def normalized(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def written(
    folder: Path, text: str, name: str = "text", encoding: str = "utf-8"
) -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# Reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030", "utf-16-be"])
@settings(max_examples=60, deadline=None)
@given(text=NEWLINES, block=st.integers(1, 9), data=st.data())
def test_parts_add_up_in_characters_and_bytes(
    encoding: str,
    text: str,
    block: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = written(tmp_path_factory.mktemp("text"), text, encoding=encoding)
    expected = normalized(text)
    cut = data.draw(st.integers(0, len(expected)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "BLOCK_BYTES", block)
        whole = TextFile(path, encoding)
        first, rest = TextFile(path, encoding, 0, cut), TextFile(path, encoding, cut)
        assert whole.read() == expected
        assert first.read() + rest.read() == expected
        assert first.characters == cut
        assert whole.raw_bytes == path.stat().st_size
        assert first.raw_bytes + rest.raw_bytes == whole.raw_bytes
        if 0 < cut < len(expected):
            # The bytes of the first part decode to its characters.
            begun = path.read_bytes()[: first.raw_bytes].decode(encoding)
            assert normalized(begun) == expected[:cut]


@given(size=st.integers(1, 9))
def test_blocks_have_the_size_asked_for(
    size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("text"), "abcdefgh" * 3)
    found = list(TextFile(path).blocks(size))
    assert "".join(found) == "abcdefgh" * 3
    assert {len(block) for block in found[:-1]} <= {size}


def test_gzip_is_read_whatever_its_name(tmp_path: Path) -> None:
    for name in ("text.gz", "text"):
        (tmp_path / name).write_bytes(gzip.compress("水\r\nab".encode()))
        (file,) = find_files(tmp_path / name)
        assert file.read() == "水\nab"
        assert file.raw_bytes == 7


def test_a_damaged_gzip_file(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(os.urandom(1000).hex().encode())[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        find_files(path)[0].read()


def test_impossible_parts() -> None:
    with pytest.raises(ValueError, match="start <= stop"):
        TextFile(Path("x"), start=3, stop=2)
    with pytest.raises(ValueError, match="at least 1"):
        list(TextFile(Path("x")).blocks(0))


# Finding


def test_a_folder_gives_its_texts_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/y.md", ".hidden", ".git/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path, "words\n", name)
    written(tmp_path, "", "empty.txt")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    names = [
        file.path.relative_to(tmp_path).as_posix() for file in find_files(tmp_path)
    ]
    assert names == ["b.txt", "a/y.md", "a/z.txt"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(b"some words\n")

    monkeypatch.setattr(sys, "stdin", Input())
    (file,) = find_files("-")
    assert file.read() == "some words\n"
    assert file.name == "standard input"


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by `rnnlm train - <&-`."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input: .*closed"):
        find_files("-")


def test_the_copy_of_standard_input_goes_when_the_program_ends() -> None:
    code = (
        "from keras_rnnlm.data.text import find_files\nprint(find_files('-')[0].path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"words\n", capture_output=True, check=True
    )
    assert not Path(done.stdout.decode().strip()).exists()


def test_a_named_pipe_can_be_read_many_times(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"words\n",))
    writer.start()
    (file,) = find_files(pipe)
    writer.join()
    assert file.read() == file.read() == "words\n"
    assert file.name == str(pipe)


def test_what_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    cases = {
        tmp_path / "missing.txt": "no such file",
        written(tmp_path, "", "empty"): "is empty",
        written(tmp_path, "\ufeff", "mark"): "is empty",
        tmp_path / "bare": "found none",
    }
    for path, message in cases.items():
        with pytest.raises(InputError, match=message):
            find_files([path])
    with pytest.raises(InputError, match="at least one"):
        find_files([])


def test_a_file_without_read_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> io.BytesIO:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(encodings, "open_bytes", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        find_files(written(tmp_path, "words\n"))


# Cutting


@pytest.mark.parametrize(
    "last_cut", [last_cut_anywhere, last_cut_at_space, last_cut_at_clause]
)
@settings(max_examples=60, deadline=None)
@given(text=LINES, size=st.integers(1, 12))
def test_pieces_make_the_whole_and_end_at_safe_places(
    last_cut: Callable[[str], int],
    text: str,
    size: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = TextFile(written(tmp_path_factory.mktemp("text"), text))
    pieces = list(safe_blocks(file, size, last_cut))
    assert "".join(pieces) == text
    assert all(pieces)
    if last_cut is last_cut_at_space:
        for piece, following in zip(pieces, pieces[1:], strict=False):
            assert piece.endswith("\n") or following.startswith(" ")
            assert piece.endswith("\n") or not piece[-1].isspace()


def test_a_line_that_cannot_be_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "LONGEST_UNCUT", 100)
    file = TextFile(written(tmp_path, "x" * 1000))
    with pytest.raises(InputError, match="without a line end or a space"):
        list(safe_blocks(file, 10))
    assert "".join(safe_blocks(file, 10, last_cut_anywhere)) == "x" * 1000


# Splitting


def test_shakespeare_is_split_as_elsewhere(needs_data: Callable[[str], Path]) -> None:
    files = find_files(needs_data("shakespeare") / "input.txt")
    train, valid = split_files(files, [0.9, 0.1], at_lines=False)
    assert [train[0].characters, valid[0].characters] == [1_003_854, 111_540]


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(LINES.filter(bool), min_size=1, max_size=3),
    share=st.floats(0.05, 0.95),
    at_lines=st.booleans(),
)
def test_parts_are_the_text_cut_where_asked(
    texts: list[str],
    share: float,
    at_lines: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    files = [
        TextFile(written(folder, text, f"{number}"))
        for number, text in enumerate(texts)
    ]
    whole = "".join(texts)
    try:
        first, rest = split_files(files, [share, 1 - share], at_lines)
    except InputError as error:
        assert "too short" in str(error)
        return
    begun = "".join(file.read() for file in first)
    assert begun + "".join(file.read() for file in rest) == whole
    cut = int(share * len(whole))
    if at_lines:
        ends = {0, len(whole)}
        position = 0
        for text in texts:
            ends |= {position + at + 1 for at, c in enumerate(text) if c == "\n"}
            position += len(text)
            ends.add(position)
        cut = min(end for end in ends if end >= cut)
    assert len(begun) == cut


@pytest.mark.parametrize("fractions", [[], [0.0, 1.0], [0.9, 0.2], [-0.1, 0.5]])
def test_impossible_fractions(fractions: list[float], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fractions above 0"):
        split_files([TextFile(written(tmp_path, "ab"))], fractions, at_lines=False)


def test_the_tail_is_held_out_at_line_ends(tmp_path: Path) -> None:
    text = "".join(f"line number {number}\n" for number in range(1000))
    parts = held_out_tail([TextFile(written(tmp_path, text))], at_lines=True)
    read = ["".join(file.read() for file in part) for part in parts]
    assert "".join(read) == text
    assert all(part.endswith("\n") for part in read)
    assert [round(len(part) / len(text), 2) for part in read] == [0.9, 0.05, 0.05]


@pytest.mark.parametrize("text", ["one line", "two\nlines\n", "a"])
def test_too_little_text_is_all_for_training(text: str, tmp_path: Path) -> None:
    train, valid, test = held_out_tail([TextFile(written(tmp_path, text))], True)
    assert "".join(file.read() for file in train) == text
    assert (valid, test) == ([], [])


# Looking


def test_a_sample_is_bounded_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    files = [TextFile(written(tmp_path, text))]
    sample = sample_text(files, 200_000, seed=1)
    assert 100_000 < len(sample) <= 200_000
    assert sample == sample_text(files, 200_000, seed=1)
    assert sample != sample_text(files, 200_000, seed=2)
    assert set(sample.splitlines()) <= set(text.splitlines())
    assert sample_text(files, len(text)) == text


def test_a_sample_of_many_short_files_is_as_long(tmp_path: Path) -> None:
    files = []
    for number in range(400):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"{number:04} {'x' * 994}\n")
        files.append(TextFile(path))
    assert 199_000 < len(sample_text(files, 200_000)) <= 200_000


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        ("the cat sat on the mat", True),
        ("明月几时有？把酒问青天。\n不知天上宫阙，今夕是何年。\n", False),
        ("今天 天气 很 好 ， 我们 去 公园 。", True),
        ("これはテストです。とてもながいぶんしょう。", False),
        ("나는 학교에 가고 있다.", True),
        ("MKVLAAGIVGLCAKAYERTWQPLSD" * 3, False),
        ("สวัสดีครับวันนี้อากาศดี", False),
        (" \n", False),
    ],
)
def test_which_texts_have_spaces(text: str, spaced: bool) -> None:
    assert uses_spaces(text) is spaced


def test_lines_in_both_texts_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = TextFile(written(tmp_path, "a b\n\nc\nd", "train"))
    other = TextFile(written(tmp_path, " c \nx\n\n\nc\na b\nab", "other"))
    blank = TextFile(written(tmp_path, "\n\n"))
    read: list[str] = []
    hashes = samples._line_hashes

    def counting(block: str) -> Any:
        read.append(block)
        return hashes(block)

    monkeypatch.setattr(samples, "_line_hashes", counting)
    assert shared_lines([train], [other], [blank], [train]) == (3, 0, 3)
    assert sum("d" in block for block in read) == 2  # once for all, once as a text
    assert shared_lines([train], [blank]) == (0,)
    assert shared_lines([train]) == ()


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    inside, elsewhere = tmp_path / "inside", tmp_path / "elsewhere"
    (inside / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    written(inside, "words\n", "a.txt")
    written(elsewhere, "words\n", "b.txt")
    (inside / "linked").symlink_to(elsewhere)
    (inside / "deep" / "back").symlink_to(inside)
    names = [file.path.relative_to(inside).as_posix() for file in find_files(inside)]
    assert names == ["a.txt", "linked/b.txt"]


def test_standard_input_may_be_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Input:
        buffer = io.BytesIO(b"some words\n")

    monkeypatch.setattr("sys.stdin", Input)
    first, second = find_files("-"), find_files(["-"])
    assert first == second
    assert "".join(second[0].blocks()) == "some words\n"
    monkeypatch.setattr(Input, "buffer", io.BytesIO(b"others\n"))
    assert "".join(find_files("-")[0].blocks()) == "others\n"
