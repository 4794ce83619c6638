"""Texts as token ids: the same ids whatever way they were made, cached safely."""

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data import cache, processes, store
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.pieces import count_words, id_dtype, mark_last
from keras_rnnlm.data.store import encode_files, encode_texts
from keras_rnnlm.data.streams import SentenceBatches, StreamBatches
from keras_rnnlm.data.text import TextFile
from keras_rnnlm.data.tokenizers import Tokenizer, train_tokenizer
from keras_rnnlm.errors import InputError

TEXTS = ["a cat sat\non a mat\n", "", "\n\nno  line end"]


def files_of(folder: Path, texts: list[str]) -> list[TextFile]:
    files = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.txt"
        path.write_bytes(text.encode())
        files.append(TextFile(path))
    return files


def tokenizer_of(folder: Path, text: str, kind: str) -> Tokenizer:
    path = folder / "vocabulary-of.txt"
    path.write_text(text)
    return train_tokenizer([TextFile(path)], kind=kind)


def same(a: EncodedText, b: EncodedText) -> None:
    np.testing.assert_array_equal(a.ids, b.ids)
    assert a.ids.dtype == b.ids.dtype
    np.testing.assert_array_equal(a.starts, b.starts)
    np.testing.assert_array_equal(a.stops, b.stops)
    np.testing.assert_array_equal(a.oov_positions, b.oov_positions)
    assert (a.counts, a.spaced, a.sha256) == (b.counts, b.spaced, b.sha256)
    assert (a.line_end_id, a.start_id) == (b.line_end_id, b.start_id)


def test_words_begin_from_a_line_end_and_end_in_one(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, "a cat sat\non a mat\nno line", "word")
    text = encode_files(files_of(tmp_path, TEXTS), tokenizer)
    shown = [tokenizer.tokens[i] for i in text.ids.tolist()]
    eos, unk = tokenizer.tokens[tokenizer.start_id or 0], "<unk>"
    assert shown == [
        *[eos, "a", "cat", "sat", eos, "on", "a", "mat", eos],
        *[eos, eos, "no", "line", unk, eos],
    ]
    assert text.starts.tolist() == [1, 9, 9]
    assert text.stops.tolist() == [9, 9, 15]
    assert text.oov_positions.tolist() == [13]
    assert text.ids.dtype == np.uint16
    counts = text.counts
    assert (counts.words, counts.lines, counts.oov) == (9, 5, 1)
    assert counts.characters == counts.raw_bytes == sum(map(len, TEXTS))
    assert counts.tokens_predicted == 14
    assert text.spaced
    starts, stops = text.lines()
    assert starts.tolist() == [1, 5, 9, 10, 11]
    assert stops.tolist() == [5, 9, 10, 11, 15]


def test_characters_are_all_that_is_stored_and_the_first_is_not_predicted(
    tmp_path: Path,
) -> None:
    tokenizer = tokenizer_of(tmp_path, "abc\n", "char")
    text = encode_files(files_of(tmp_path, ["xab\nc", "", "b\nx"]), tokenizer)
    assert len(text.ids) == 8
    assert text.starts.tolist() == [1, 5, 6]
    assert text.stops.tolist() == [5, 5, 8]
    # The x that begins the text is unknown but never predicted.
    assert text.oov_positions.tolist() == [7]
    assert text.counts.tokens_predicted == 6
    assert text.start_id is None
    assert text.line_end_id == tokenizer.line_end_id is not None


@settings(deadline=None, max_examples=40)
@given(
    texts=st.lists(
        st.text(st.sampled_from("ab \n\tü\u3000"), max_size=30), min_size=1, max_size=4
    ),
    kind=st.sampled_from(["word", "char"]),
)
def test_counts_and_places_are_those_of_plain_python(
    texts: list[str], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    tokenizer = tokenizer_of(folder, "a b ab ba ü\n", kind)
    text = encode_texts(texts, tokenizer)
    same(text, encode_files(files_of(folder, texts), tokenizer, cache=folder))
    counts = text.counts
    assert counts.words == sum(len(t.split()) for t in texts)
    assert counts.lines == sum(
        len(t.split("\n")) - t.endswith("\n") if t else 0 for t in texts
    )
    assert counts.characters == sum(map(len, texts))
    assert counts.raw_bytes == sum(len(t.encode()) for t in texts)
    assert counts.oov == len(text.oov_positions)
    for start, stop, content in zip(text.starts, text.stops, texts, strict=True):
        whole = tokenizer.encode(content)
        begin = stop - len(whole)
        np.testing.assert_array_equal(text.ids[begin:stop], whole)
        predicted = len(whole) - (kind == "char" and len(whole) > 0)
        assert stop - start == predicted
    if tokenizer.unk_id is not None:
        unknown = text.ids[text.oov_positions]
        assert (unknown == tokenizer.unk_id).all()


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_several_processes_give_the_same_ids(
    kind: str, english_file: Path, tmp_path: Path
) -> None:
    lines = english_file.read_text().splitlines(keepends=True)
    texts = ["".join(lines[i : i + 3]) for i in range(0, len(lines), 3)]
    files = files_of(tmp_path, [*texts, "no line end, unheard-of words"])
    tokenizer = train_tokenizer([TextFile(english_file)], kind=kind)
    one = encode_files(files, tokenizer, cache=tmp_path / "one", processes=1)
    two = encode_files(files, tokenizer, cache=tmp_path / "two", processes=2)
    same(one, two)
    assert one.names == [str(file.path) for file in files]


def test_a_process_that_dies_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(tmp_path, "a b", "word")
    files = files_of(tmp_path, TEXTS)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="exit status 1"):
        encode_files(files, tokenizer, cache=tmp_path / "cache", processes=2)
    assert list((tmp_path / "cache").iterdir()) == []
    assert processes.process_count(10) == 1


@settings(deadline=None)
@given(st.text())
def test_words_are_counted_as_split_counts_them(text: str) -> None:
    assert count_words(text) == len(text.split())


def test_every_space_of_unicode_is_known() -> None:
    text = "".join(f"a{chr(code)}" for code in range(0x110000) if chr(code).isspace())
    assert count_words(text) == len(text.split()) > 20


def test_the_last_piece_of_a_file_is_marked() -> None:
    assert [p.last for p in mark_last(0, ["a", "b", "c"])] == [False, False, True]
    assert [(p.text, p.last) for p in mark_last(3, [])] == [("", True)]


def test_ids_take_two_bytes_up_to_65536() -> None:
    assert id_dtype(65_536) is np.uint16
    assert id_dtype(65_537) is np.uint32


# -- the cache


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grow by one each time that a text is really encoded."""
    calls: list[int] = []
    real = store.encode_pieces

    def counting(*arguments: Any) -> Any:
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(store, "encode_pieces", counting)
    return calls


def test_the_cache_knows_a_text_by_content_and_tokenizer(
    counted: list[int], tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    tokenizer = tokenizer_of(tmp_path, "a cat sat on a mat", "word")
    first = encode_files(files_of(tmp_path, TEXTS), tokenizer, cache=folder)
    assert isinstance(first.ids, np.memmap)
    moved = tmp_path / "moved"
    moved.mkdir()
    ticks: list[tuple[int, int]] = []
    again = encode_files(
        files_of(moved, TEXTS),
        tokenizer,
        cache=folder,
        progress=lambda done, total: ticks.append((done, total)),
    )
    same(first, again)
    assert again.names != first.names
    assert len(counted) == 1
    assert ticks[-1] == (first.counts.characters, first.counts.characters)

    other = tokenizer_of(tmp_path, "a cat", "word")
    assert encode_files(files_of(tmp_path, TEXTS), other, cache=folder).counts.oov > 1
    encode_files(files_of(tmp_path, [*TEXTS[:2], "new"]), tokenizer, cache=folder)
    # The same text in other files is another store.
    encode_files(files_of(tmp_path, ["".join(TEXTS)]), tokenizer, cache=folder)
    assert len(counted) == 4


def test_progress_goes_up_to_the_whole(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, "a cat sat on a mat", "word")
    files = files_of(tmp_path, TEXTS)
    ticks: list[tuple[int, int]] = []
    encode_files(
        files, tokenizer, tmp_path, lambda done, total: ticks.append((done, total))
    )
    total = sum(map(len, TEXTS))
    assert [done for done, _ in ticks] == sorted(done for done, _ in ticks)
    assert ticks[-1] == (total, total)


def test_a_damaged_entry_is_made_again(counted: list[int], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    tokenizer = tokenizer_of(tmp_path, "a cat sat on a mat", "word")
    files = files_of(tmp_path, TEXTS)
    good = encode_texts(TEXTS, tokenizer)
    encode_files(files, tokenizer, cache=folder)
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    damaged = [whole[:n] for n in (0, 1, 10, len(whole) // 2, len(whole) - 1)]
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 16
        damaged.append(bytes(flipped))
    damaged.append(whole + b"more")
    for number, data in enumerate(damaged, 2):
        entry.unlink()
        entry.write_bytes(data)
        same(encode_files(files, tokenizer, cache=folder), good)
        assert len(counted) == number
    assert entry.read_bytes() == whole


def test_writers_at_the_same_time_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    tokenizer = tokenizer_of(tmp_path, "a cat sat on a mat", "word")
    files = files_of(tmp_path, TEXTS * 20)
    good = encode_texts(TEXTS * 20, tokenizer)
    found: list[EncodedText] = []

    def encode() -> None:
        found.append(encode_files(files, tokenizer, cache=folder, processes=1))

    threads = [threading.Thread(target=encode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for text in found:
        same(text, good)
    assert len(list(folder.iterdir())) == 1


def test_a_full_disk_says_where_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    tokenizer = tokenizer_of(tmp_path, "a b", "word")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.EntryWriter, "_write", full)
    with pytest.raises(InputError) as raised:
        encode_files(files_of(tmp_path, TEXTS), tokenizer, cache=folder)
    for part in (str(folder), "No space left on device", "RNNLM_CACHE", "MB free"):
        assert part in str(raised.value)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, "a b", "word")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="RNNLM_CACHE"):
        encode_files(
            files_of(tmp_path, TEXTS), tokenizer, cache=tmp_path / "file" / "cache"
        )


def test_a_cache_that_can_only_be_read_serves(
    monkeypatch: pytest.MonkeyPatch, counted: list[int], tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(tmp_path, "a cat sat on a mat", "word")
    files = files_of(tmp_path, TEXTS)
    good = encode_files(files, tokenizer, cache=tmp_path / "cache")

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refused)
    same(encode_files(files, tokenizer, cache=tmp_path / "cache"), good)
    assert len(counted) == 1


def test_an_entry_that_goes_just_as_it_is_found_is_made_again(
    monkeypatch: pytest.MonkeyPatch, counted: list[int], tmp_path: Path
) -> None:
    """As another process may do to keep the cache to its size."""
    tokenizer = tokenizer_of(tmp_path, "a cat sat on a mat", "word")
    files = files_of(tmp_path, TEXTS)
    good = encode_files(files, tokenizer, cache=tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", os.unlink)
        assert cache.read_entry(entry.parent, entry.stem) is None
    same(encode_files(files, tokenizer, cache=tmp_path / "cache"), good)
    assert len(counted) == 2


def test_the_cache_forgets_what_was_used_longest_ago(
    monkeypatch: pytest.MonkeyPatch, counted: list[int], tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    tokenizer = tokenizer_of(tmp_path, "a b", "char")
    texts = [f"a{'b' * n}\n" for n in range(1000, 1004)]
    old = [files_of(tmp_path, [text]) for text in texts]
    encode_files(files_of(tmp_path, [texts[0]]), tokenizer, cache=folder)
    stale = folder / f"{'ab' * 32}.17.0123abcd.oov.part"
    others = [folder / "film.mkv.part", folder / "mine.tokens"]
    for path in (stale, *others):
        path.write_text("x")
    for path in folder.iterdir():
        os.utime(path, (1_000_000, 1_000_000))
    encode_files(files_of(tmp_path, [texts[1]]), tokenizer, cache=folder)
    assert len(list(folder.iterdir())) == 4
    assert not stale.exists()
    monkeypatch.setattr(cache, "CACHE_BYTES", 5000)
    encode_files(files_of(tmp_path, [texts[2]]), tokenizer, cache=folder)
    assert len(list(folder.iterdir())) == 4
    assert all(path.exists() for path in others)  # the folder may be anybody's
    encode_files(files_of(tmp_path, [texts[1]]), tokenizer, cache=folder)
    assert len(counted) == 3
    encode_files(files_of(tmp_path, [texts[0]]), tokenizer, cache=folder)
    assert len(counted) == 4
    assert len(old) == 4


def test_a_file_that_grows_meanwhile_leaves_nothing_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(tmp_path, "a b", "char")
    hashed = store._hash

    def growing(files: list[TextFile]) -> tuple[str, list[int]]:
        found = hashed(files)
        with files[0].path.open("a") as stream:
            stream.write("bbb\n")
        return found

    monkeypatch.setattr(store, "_hash", growing)
    with pytest.raises(InputError, match=r"changed while it was read .*0\.txt"):
        encode_files(files_of(tmp_path, ["a\n"]), tokenizer, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    """40 MB of characters are 80 MB of ids; neither is ever held."""
    program = """
import json, re, sys
from pathlib import Path
from keras_rnnlm.data.store import encode_files
from keras_rnnlm.data.text import TextFile
from keras_rnnlm.data.tokenizers import train_tokenizer

def peak():
    # That of this program alone: getrusage begins with what its parent had.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])

folder = Path(sys.argv[1])
line = "so it is written, and so it shall be read " * 3 + chr(10)
(folder / "small.txt").write_text(line)
with open(folder / "large.txt", "w") as file:
    for _ in range(80):
        file.write(line * (500_000 // len(line)))
tokenizer = train_tokenizer([TextFile(folder / "small.txt")], kind="char")
encode_files([TextFile(folder / "small.txt")], tokenizer, folder)
before = peak()
text = encode_files([TextFile(folder / "large.txt")], tokenizer, folder, processes=1)
after = peak()
print(json.dumps([len(text.ids), (after - before) * 1024]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    ids, grown = json.loads(done.stdout)
    assert ids > 39_000_000
    assert grown < 60_000_000


def test_an_encoded_text_makes_batches(tmp_path: Path) -> None:
    text = encode_texts(["a b c\nd e\n" * 50], tokenizer_of(tmp_path, "a b c", "word"))
    stream = text.batches(4, 5, seed=3, start=2)
    assert isinstance(stream, StreamBatches)
    assert (stream.batch_size, stream.steps, stream.start) == (4, 5, 2)
    assert text.batches(2).steps == 35
    with pytest.raises(ValueError, match="steps >= 1"):
        text.batches(2, 0)
    lines = text.batches(4, mode="sentence", endless=True)
    assert isinstance(lines, SentenceBatches)
    assert lines.max_steps == 256
    assert lines.num_batches is None
    with pytest.raises(ValueError, match="mode"):
        text.batches(4, mode="lanes")  # type: ignore[call-overload]


def test_penn_treebank_predicts_82430_test_tokens(
    needs_data: Callable[[str], Path],
) -> None:
    folder = needs_data("ptb")
    tokenizer = train_tokenizer([TextFile(folder / "train.txt")], kind="word")
    text = encode_files([TextFile(folder / "test.txt")], tokenizer)
    assert text.counts.tokens_predicted == 82_430
    assert text.counts.words + text.counts.lines == 82_430
    assert text.counts.oov == 0
    assert text.counts.raw_bytes == 449_945


def test_a_file_rewritten_meanwhile_leaves_nothing_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its length is the same."""
    tokenizer = tokenizer_of(tmp_path, "a b", "char")
    hashed = store._hash

    def rewritten(files: list[TextFile]) -> tuple[str, list[int]]:
        found = hashed(files)
        text = files[0].path.read_text()
        files[0].path.write_text(text.replace("a", "b"))
        return found

    monkeypatch.setattr(store, "_hash", rewritten)
    folder = tmp_path / "cache"
    with pytest.raises(InputError, match=r"changed while it was read .*0\.txt"):
        encode_files(files_of(tmp_path, ["a b a\n"]), tokenizer, cache=folder)
    assert not [path for path in folder.iterdir() if path.suffix != ".lock"]
