"""`rnnlm train --members`, and what the other verbs make of such a folder."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_rnnlm.cli.main import run
from tests.cli.conftest import QUICK

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def trained(
    english_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], str, str]:
    """A command that trains three members; what it told and said."""
    out = tmp_path_factory.mktemp("ensemble") / "model"
    words = ["train", str(english_file), "--out", str(out), "--tokenizer", "char"]
    words += ["--members", "3", *QUICK, "--json"]
    with CliRunner().isolation() as (told, said, _):
        assert run(words) == 0
        return words, told.getvalue().decode(), said.getvalue().decode()


@pytest.fixture(scope="module")
def ensemble(trained: tuple[list[str], str, str]) -> Path:
    """Three members, two of them begun with the seeds 3 and 4, one with 5."""
    return Path(trained[0][3])


def test_what_is_told(ensemble: Path, trained: tuple[list[str], str, str]) -> None:
    words, told, said = trained
    report = json.loads(told)
    member = json.loads((ensemble / "member-2" / "report.json").read_text())
    assert report["command"] == member["command"] == ["rnnlm", *words]
    assert "Command: `rnnlm train" in (ensemble / "README.md").read_text("utf-8")
    stored = json.loads((ensemble / "report.json").read_text())
    assert report["valid"]["nats"] == stored["valid"]["nats"]
    assert [m["seed"] for m in report["members"]] == [3, 4, 5]
    assert "members  3" in said
    assert "one by one" in said
    assert f"generate {ensemble}/member-1" in said


def test_evaluation_takes_all_members(
    ensemble: Path, english_file: Path, capsys: Captured
) -> None:
    assert run(["evaluate", str(ensemble), str(english_file), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert "ensemble of 3 models" in said.err
    first, *others = (str(ensemble / f"member-{i}") for i in (1, 2, 3))
    given = [part for folder in others for part in ("--ensemble", folder)]
    assert run(["evaluate", first, str(english_file), *given, "--json"]) == 0
    wanted = json.loads(capsys.readouterr().out)
    assert found["nats"] == wanted["nats"]
    (line,) = found["additions"]
    assert line["name"] == "ensemble"
    assert line["nats"] == wanted["additions"][0]["nats"]
    assert sorted(line["settings"]["weights"].values()) == pytest.approx([1 / 3] * 3)
    # As another model's company, it is its members too.
    assert run(
        ["evaluate", first, str(english_file), "--ensemble", str(ensemble), "--json"]
    ) in (0, 2)


def test_a_member_is_a_model(ensemble: Path, capsys: Captured) -> None:
    assert run(["generate", str(ensemble / "member-2"), "--prompt", "The"]) == 0
    assert run(["info", str(ensemble / "member-2")]) == 0
    capsys.readouterr()
    assert run(["info", str(ensemble)]) == 2
    assert "ensemble of 3 models" in capsys.readouterr().err


def test_a_slip(english_file: Path, tmp_path: Path, capsys: Captured) -> None:
    out = ["--out", str(tmp_path / "run")]
    assert run(["train", str(english_file), "--members", "1", *out]) == 2
    assert "--members" in capsys.readouterr().err


def test_all_members_are_searched_for_as_one(
    ensemble: Path, english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "ensemble"
    shutil.copytree(ensemble, folder)
    text = str(english_file)
    command = ["tune-evaluation", str(folder), text, "--minutes", "0.05", "--json"]
    assert run([*command, "--ngram", "fit", "--train", text, "--ngram-order", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lines"][0]["name"] == "temperature"
    weights = found["lines"][0]["weights"].values()
    assert list(weights) == pytest.approx([1 / 3] * 3)
    assert (folder / "evaluation.json").is_file()
    assert not (folder / "member-1" / "evaluation.json").exists()
    assert run(["evaluate", str(folder), text, "--system", "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)["additions"]
    names = [line["name"] for line in found["lines"]]
    assert [line["name"] for line in lines] == ["static", *names]
    assert lines[-1]["nats"] < lines[0]["nats"]
    # So is what is added by itself, from the mean of all on.
    assert run(["evaluate", str(folder), text, "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["additions"]
    assert line["nats"] == pytest.approx(lines[0]["nats"], rel=1e-5)
    assert run(["evaluate", str(folder), text, "--cache", "--json"]) == 0
    line, cache = json.loads(capsys.readouterr().out)["additions"]
    assert line["nats"] == pytest.approx(lines[0]["nats"], rel=1e-5)
    assert len(cache["settings"]["weights"]) == 4
    # After an example the first member is another, and the others join it as they are.
    example = ["--example", text, "--by", "dynamic"]
    assert run(["evaluate", str(folder), text, *example, "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["additions"]
    assert line["name"] == "ensemble"
    assert run([*command, "--ensemble", str(folder / "member-2")]) == 2
    assert "leave --ensemble out" in capsys.readouterr().err
