import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.errors import StorageError
from keras_rnnlm.search.journal import Journal, create_journal
from keras_rnnlm.search.study import storage_errors

WRITE = """
import sys
from pathlib import Path
from keras_rnnlm.search.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(20):
    journal.append_logs([{"who": sys.argv[2], "number": number}, {"second": True}])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_journal(tmp_path / "deep" / "journal.jsonl")
    return tmp_path / "deep" / "journal.jsonl"


def test_lines_come_back(path: Path) -> None:
    journal, other = Journal(path), Journal(path)
    journal.append_logs([{"a": 1}, {"b": "宋词"}])
    assert list(other.read_logs(0)) == [{"a": 1}, {"b": "宋词"}]
    journal.append_logs([{"c": None}])
    assert list(other.read_logs(2)) == [{"c": None}]
    assert list(other.read_logs(1)) == [{"b": "宋词"}, {"c": None}]
    assert list(journal.read_logs(3)) == []


def test_half_a_line_is_cut_off(path: Path) -> None:
    Journal(path).append_logs([{"a": 1}])
    with path.open("ab") as stream:
        stream.write(b'{"b": 2, "long": "' + 5000 * b"x")  # a kill, or a full disk
    journal = Journal(path)
    assert list(journal.read_logs(0)) == [{"a": 1}]
    journal.append_logs([{"c": 3}])
    assert list(Journal(path).read_logs(0)) == [{"a": 1}, {"c": 3}]


def test_a_file_that_goes_away(path: Path) -> None:
    journal = Journal(path)
    journal.append_logs([{"a": 1}])
    content = path.read_bytes()
    path.with_name("new").write_bytes(content)
    path.unlink()
    for use in (lambda: journal.append_logs([{}]), lambda: list(journal.read_logs(0))):
        with pytest.raises(StorageError, match="is gone .No such file"):
            use()
    assert not path.exists()
    path.with_name("new").rename(path)
    with pytest.raises(StorageError, match="replaced by another file"):
        journal.append_logs([{}])
    assert path.read_bytes() == content


def test_a_file_that_goes_away_just_before_it_is_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def too_late(self: Path, *args: Any, **options: Any) -> Any:
        if self == path:
            self.unlink(missing_ok=True)
        return opened(self, *args, **options)

    journal = Journal(path)
    monkeypatch.setattr(Path, "open", too_late)
    for use in (lambda: journal.append_logs([{}]), lambda: list(journal.read_logs(0))):
        path.touch()
        with pytest.raises(StorageError, match="is gone"):
            use()


def test_a_folder_is_no_journal(path: Path) -> None:
    with pytest.raises(StorageError, match="is no file"):
        Journal(path.parent)


def test_a_full_disk_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path)
    journal.append_logs([{"a": 1}])
    content = path.read_bytes()

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with (
        pytest.raises(StorageError, match="cannot be used: .*No space left"),
        storage_errors(str(path)),
    ):
        journal.append_logs([{"b": 2}])
    assert path.read_bytes() == content
    monkeypatch.undo()
    journal.append_logs([{"c": 3}])
    assert list(journal.read_logs(0)) == [{"a": 1}, {"c": 3}]


def test_a_damaged_line_is_named(path: Path) -> None:
    path.write_text('{"a": 1}\nnonsense\n{"b": 2}\n')
    with pytest.raises(StorageError, match="damaged in line 2"):
        list(Journal(path).read_logs(0))


def test_processes_do_not_disturb_each_other(path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(path), name])
        for name in "ab"
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    rows = list(Journal(path).read_logs(0))
    assert len(rows) == 80
    for name in "ab":
        numbers = [row["number"] for row in rows if row.get("who") == name]
        assert numbers == list(range(20))
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert "who" in first and second == {"second": True}
