"""`rnnlm train --members`, and what the other verbs make of such a folder."""

import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from tests.cli.conftest import QUICK

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def ensemble(english_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three members, two of them begun with the seeds 3 and 4, one with 5."""
    out = tmp_path_factory.mktemp("ensemble") / "model"
    options = ["--tokenizer", "char", "--members", "3", *QUICK]
    assert run(["train", str(english_file), "--out", str(out), *options]) == 0
    return out


def test_what_is_told(
    ensemble: Path, english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "again"
    options = ["--tokenizer", "char", "--members", "3", *QUICK, "--json"]
    assert run(["train", str(english_file), "--out", str(out), *options]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    stored = json.loads((ensemble / "report.json").read_text())
    assert report["valid"]["nats"] == stored["valid"]["nats"]
    assert [m["seed"] for m in report["members"]] == [3, 4, 5]
    assert "members  3" in said.err
    assert "one by one" in said.err
    assert f"generate {out}/member-1" in said.err


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
