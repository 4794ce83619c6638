import json
from pathlib import Path

import pytest

from keras_rnnlm.bench.kept import Kept, slug
from keras_rnnlm.errors import InputError


def a_run(folder: Path, *names: str) -> Path:
    """Make files that say who they are."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path.relative_to(folder.parent)))
    return folder


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Adam at 0.01", "adam-at-0.01"),
        ("noising (bigram, 0.2)", "noising-bigram-0.2"),
        ("ptb 0.1 1 cell=gru beta_1=0", "ptb-0.1-1-cell=gru-beta_1=0"),
        ("../up", "up"),
        ("宋词，四分钟", "宋词-四分钟"),
    ],
)
def test_names_of_folders(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_long_names_are_cut_and_stay_apart() -> None:
    one, two = (slug(f"{'词' * 200} {end}") for end in "ab")
    assert one != two
    assert all(len(name.encode()) < 255 for name in (one, two))


@pytest.mark.parametrize("name", ["", "--", "...", "_"])
def test_a_name_of_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="letters or digits"):
        Kept(tmp_path, [name])


def test_two_names_of_one_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a b' and 'A, B' would both be kept in"):
        Kept(tmp_path, ["a b", "c", "A, B"])
    Kept(tmp_path, ["a b", "a b"])  # one run that stands there twice
    Kept(None, ["a b", "A, B"])


def test_log_and_report_are_kept_and_no_weights(tmp_path: Path) -> None:
    both = ("report.json", "training.jsonl")
    kept = Kept(tmp_path / "logs", ["Adam at 0.01", "other"])
    kept.keep("Adam at 0.01", a_run(tmp_path / "one", *both, "model.safetensors"))
    assert files(tmp_path / "logs") == {f"adam-at-0.01/{name}" for name in both}
    own = tmp_path / "logs" / "adam-at-0.01"
    (own / "notes.txt").write_text("mine")
    # The next one of that name diverged: it has no report, and the old one goes.
    kept.keep("Adam at 0.01", a_run(tmp_path / "two", "training.jsonl"))
    assert files(own) == {"training.jsonl", "notes.txt"}
    assert (own / "training.jsonl").read_text() == "two/training.jsonl"
    kept.keep("other", tmp_path / "never-begun")
    assert not (tmp_path / "logs" / "other").exists()


def test_a_report_does_not_tell_where_the_run_was(tmp_path: Path) -> None:
    run = a_run(tmp_path / "a run", "report.json")
    report = {"command": ["rnnlm", "train", "text.txt", "--out", str(run)]}
    (run / "report.json").write_text(json.dumps(report))
    Kept(tmp_path / "logs", ["one"]).keep("one", run)
    kept = json.loads((tmp_path / "logs" / "one" / "report.json").read_text())
    assert kept["command"] == [*report["command"][:-1], "a run"]


def test_members_are_kept_too(tmp_path: Path) -> None:
    names = ("report.json", "member-1/training.jsonl", "member-1/report.json")
    run = a_run(tmp_path / "run", *names, "member-1/model.safetensors")
    Kept(tmp_path / "logs", ["four"]).keep("four", run)
    assert files(tmp_path / "logs" / "four") == set(names)


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "report.json")
    Kept(None, ["one"]).keep("one", run)
    assert files(tmp_path) == {"run/report.json"}
