"""What a user gets wrong, and the one or two lines that help."""

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.scoring.dynamic import DivergedError
from tests.cli.conftest import QUICK

Captured = pytest.CaptureFixture[str]


def refused(arguments: list[str], capsys: Captured) -> str:
    """Run a command that must end with code 2; return what it said."""
    capsys.readouterr()
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    last = [line for line in err.splitlines() if "error:" in line]
    assert len(last) == 1, err
    return last[0].partition("error: ")[2]


def written(name: str, content: bytes) -> str:
    Path(name).write_bytes(content)
    return name


# Text files.


def test_a_missing_file(inside: Path, capsys: Captured) -> None:
    said = refused(["train", "nowhere.txt"], capsys)
    assert said.startswith("nowhere.txt: no such file. Expected a text file")


def test_an_empty_file(inside: Path, capsys: Captured) -> None:
    assert "empty" in refused(["train", written("empty.txt", b"")], capsys)


def test_a_binary_file(inside: Path, capsys: Captured) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
    said = refused(["train", written("picture.txt", picture)], capsys)
    assert said.startswith("picture.txt")


def test_a_byte_that_is_no_utf8(
    inside: Path, chinese_text: str, capsys: Captured
) -> None:
    name = written("poems.txt", chinese_text.encode("gb18030"))
    said = refused(["train", name], capsys)
    assert said.startswith("poems.txt")
    assert "line 1" in said
    assert "--encoding gb18030" in said


def test_one_bad_byte_far_inside(
    inside: Path, english_text: str, capsys: Captured
) -> None:
    text = english_text.encode()
    place = text.index(b"Wednesday")
    name = written("story.txt", text[:place] + b"\xff" + text[place:])
    said = refused(["train", name], capsys)
    line = text[:place].count(b"\n") + 1
    assert f"line {line}" in said
    assert str(place) in said


def test_a_gzip_file_cut_short(
    inside: Path, english_text: str, capsys: Captured
) -> None:
    packed = gzip.compress(english_text.encode())
    name = written("story.txt.gz", packed[: len(packed) // 2])
    assert refused(["train", name], capsys).startswith("story.txt.gz")


def test_a_text_of_one_word(inside: Path, capsys: Captured) -> None:
    name = written("word.txt", b"hello\n")
    said = refused(["train", name, "--tokenizer", "word"], capsys)
    assert "too short" in said
    assert "at least two different words" in said


def test_words_of_a_text_without_spaces(
    inside: Path, chinese_file: Path, capsys: Captured
) -> None:
    said = refused(["train", str(chinese_file), "--tokenizer", "word"], capsys)
    for alternative in ("char", "bpe", "--segmenter jieba"):
        assert alternative in said


def test_an_unknown_encoding(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    said = refused(["train", str(english_file), "--encoding", "utf9"], capsys)
    assert "utf9" in said


# Settings.


def test_an_unknown_recipe(inside: Path, english_file: Path, capsys: Captured) -> None:
    said = refused(["train", str(english_file), "--recipe", "dmeo"], capsys)
    assert said.startswith("Unknown recipe 'dmeo'. Did you mean 'demo'?")


def test_an_unknown_setting(inside: Path, english_file: Path, capsys: Captured) -> None:
    said = refused(["train", str(english_file), "--set", "unts=3"], capsys)
    assert said.startswith("Unknown setting 'unts'. Did you mean 'units'?")


def test_an_impossible_value(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    said = refused(["train", str(english_file), "--set", "dropout=2"], capsys)
    assert "'dropout'" in said
    assert "2" in said


def test_a_split_that_makes_no_sense(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    for split in ("0.9", "0.9,0.9", "a,b", "0.5,-0.5"):
        said = refused(["train", str(english_file), "--split", split], capsys)
        assert "0.9,0.1" in said


def test_a_model_that_memory_does_not_hold(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    huge = ["--set=units=1000000", "--out", "model"]
    said = refused(["train", str(english_file), *huge], capsys)
    assert "memory" in said
    assert not Path("model", "model.safetensors").exists()


# Model folders.


@pytest.fixture
def copied(english_model: Path, inside: Path) -> Path:
    return Path(shutil.copytree(english_model, inside / "copied"))


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_truncated_weights(
    share: float, copied: Path, english_file: Path, capsys: Captured
) -> None:
    weights = copied / "model.safetensors"
    os.truncate(weights, int(weights.stat().st_size * share))
    said = refused(["evaluate", str(copied), str(english_file)], capsys)
    assert "model.safetensors" in said
    assert "damaged" in said


def test_a_flipped_bit(copied: Path, capsys: Captured) -> None:
    weights = copied / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    assert "damaged" in refused(["generate", str(copied)], capsys)


def test_a_folder_that_is_not_there(inside: Path, capsys: Captured) -> None:
    assert "does not exist" in refused(["generate", "nowhere"], capsys)


def test_a_folder_from_elsewhere(inside: Path, capsys: Captured) -> None:
    folder = inside / "bert"
    folder.mkdir()
    written("bert/config.json", b'{"architectures": ["BertModel"]}')
    written("bert/model.safetensors", b"\x02\0\0\0\0\0\0\0{}")
    written("bert/tokenizer.json", b"{}")
    said = refused(["info", "bert"], capsys)
    assert said.startswith("'bert' is not a complete model folder: manifest.json")


def test_a_folder_of_a_later_format(copied: Path, capsys: Captured) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    assert "not a model folder of this version" in refused(
        ["info", str(copied)], capsys
    )


def test_a_file_instead_of_a_folder(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    assert "is a file" in refused(["info", str(english_file)], capsys)


# Places to write to.


def test_an_out_folder_that_exists(
    copied: Path, english_file: Path, capsys: Captured
) -> None:
    said = refused(["train", str(english_file), "--out", str(copied)], capsys)
    assert "exists already" in said
    assert "--resume" in said


def test_a_file_where_the_folder_should_be(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    name = written("model", b"")
    said = refused(["train", str(english_file), "--out", name], capsys)
    assert "is a file" in said
    said = refused(["train", str(english_file), "--out", f"{name}/inside"], capsys)
    assert "Cannot write to 'model/inside': Not a directory" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk(small_disk: Path, english_file: Path, capsys: Captured) -> None:
    large = [*QUICK, "--set=units=128", "--set=max_steps=2", "--set=validations=1"]
    out = small_disk / "model"
    said = refused(["train", str(english_file), "--out", str(out), *large], capsys)
    assert "No space left on device" in said
    assert str(out) in said


def test_a_full_disk_under_the_cache(
    small_disk: Path,
    inside: Path,
    english_text: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RNNLM_CACHE", str(small_disk))
    name = written("long.txt", (english_text * 200).encode())
    said = refused(["train", name, "--tokenizer", "char"], capsys)
    assert str(small_disk) in said
    assert "RNNLM_CACHE" in said


def test_a_disk_that_is_read_only(
    small_disk: Path, english_file: Path, capsys: Captured
) -> None:
    again = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(again, check=True)
    out = small_disk / "model"
    said = refused(["train", str(english_file), "--out", str(out)], capsys)
    assert said.startswith(f"Cannot write to '{out}': Read-only file system.")


# Resuming.


def test_resuming_with_other_data(
    copied: Path, chinese_file: Path, capsys: Captured
) -> None:
    again = ["--out", str(copied), "--resume", *QUICK]
    said = refused(["train", str(chinese_file), *again], capsys)
    assert "resume" in said.lower()


def test_resuming_with_other_settings(
    copied: Path, english_file: Path, capsys: Captured
) -> None:
    again = ["--tokenizer", "word", "--out", str(copied), "--resume", *QUICK]
    again.append("--set=units=32")
    said = refused(["train", str(english_file), *again], capsys)
    assert "units" in said


def test_resuming_nothing_in_particular(english_file: Path, capsys: Captured) -> None:
    assert "--resume needs --out" in refused(
        ["train", str(english_file), "--resume"], capsys
    )


def test_a_protocol_that_there_is_not(inside: Path, capsys: Captured) -> None:
    # Before the text is read: it does not exist.
    said = refused(["train", "nowhere.txt", "--set", "protocol=windw"], capsys)
    assert "windw" in said


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX")
def test_a_file_whose_name_is_no_text(
    inside: Path, english_text: str, capsys: Captured
) -> None:
    folder = os.fsencode(inside / "books")
    os.mkdir(folder)
    with open(os.path.join(folder, b"caf\xe9.txt"), "w", encoding="utf-8") as stream:
        stream.write(english_text)
    assert run(["train", "books", "--out", "m", *QUICK]) == 0, capsys.readouterr().err
    report = json.loads(Path("m", "report.json").read_text(encoding="utf-8"))
    names = {
        name for part in ("train", "valid") for name in report["data"][part]["files"]
    }
    assert {Path(name).name for name in names} == {r"caf\udce9.txt"}
    assert r"caf\udce9.txt" in Path("m", "README.md").read_text(encoding="utf-8")


# Numbers.


@pytest.mark.parametrize("minutes", ["inf", "nan", "0", "1e9"])
@pytest.mark.parametrize(
    "words",
    [
        ["train", "a.txt"],
        ["adapt", "m", "a.txt"],
        ["tune", "a.txt"],
        ["compare", "a.txt"],
        ["suggest", "a.txt"],
        ["demo"],
        ["tune-evaluation", "m", "a.txt"],
    ],
)
def test_minutes_that_are_no_time(
    words: list[str], minutes: str, capsys: Captured
) -> None:
    said = refused([*words, "--minutes", minutes], capsys)
    assert "'--minutes'" in said


def test_shares_that_are_no_numbers(
    inside: Path, english_file: Path, capsys: Captured
) -> None:
    said = refused(["train", str(english_file), "--split", "nan,0.1"], capsys)
    assert "received nan,0.1" in said


def test_a_window_beyond_all_numbers(
    english_model: Path, english_file: Path, capsys: Captured
) -> None:
    protocol = f"window:{10**19}"
    words = ["evaluate", str(english_model), str(english_file), "--protocol", protocol]
    assert "at most 1e+15" in refused(words, capsys)


# What is asked for beside the plain figures.


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--system"], "Run `rnnlm tune-evaluation"),
        (["--ngram", "nowhere.arpa"], "nowhere.arpa"),
        (["--ensemble", "nowhere"], "'nowhere' does not exist"),
        (["--temperature", "0"], "a temperature above 0"),
        (["--mc-dropout", "3"], "trained with dropout"),
    ],
)
def test_additions_are_refused_before_a_text_is_read(
    chinese_model: Path, capsys: Captured, asked: list[str], says: str
) -> None:
    words = ["evaluate", str(chinese_model), "no-such-text.txt", *asked]
    assert says in refused(words, capsys)


def test_learning_that_goes_astray_leaves_the_plain_figures(
    english_model: Path,
    english_file: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def astray(*_: object, **__: object) -> None:
        raise DivergedError("went astray")

    monkeypatch.setattr(LanguageModel, "evaluate_additions", astray)
    assert run(["evaluate", str(english_model), str(english_file), "--dynamic"]) == 2
    out, err = capsys.readouterr()
    assert "perplexity" in out and "dynamic" not in out
    assert "error:" in err and "Traceback" not in err


# Model folders.


def test_a_search_for_a_model_without_dropout_is_refused_at_once(
    chinese_model: Path, chinese_file: Path, capsys: Captured
) -> None:
    words = ["tune-evaluation", str(chinese_model), str(chinese_file)]
    assert "trained with dropout" in refused([*words, "--mc-dropout", "2"], capsys)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"valid": {"perplexity": []}}', b"[]"]
)
def test_a_damaged_report(
    inside: Path, english_model: Path, capsys: Captured, content: bytes
) -> None:
    shutil.copytree(english_model, "copy")
    Path("copy", "report.json").write_bytes(content)
    assert "report.json' is damaged" in refused(["info", "copy"], capsys)
