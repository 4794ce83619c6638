import json
from pathlib import Path

import pytest

from tests.benchmarks.scripts import run


@pytest.mark.slow
def test_runs_are_judged_on_validation_text_and_not_repeated(
    english_file: Path, tmp_path: Path
) -> None:
    rows, record = tmp_path / "rows.toml", tmp_path / "ladder.json"
    logs = tmp_path / "logs"
    tiny = '"units=8", "layers=1", "minutes=none", "max_steps=4"'
    first = f'[[row]]\nname = "base"\nset = [{tiny}]\n'
    second = f'[[row]]\nname = "wider"\nset = [{tiny}, "embedding=12"]\n'
    command = ["--json", record, "--keep", logs]
    command += ["--", english_file, "--valid", english_file]
    wild = f'{tiny}, "optimizer=sgd", "learning_rate=1e38", "clip_norm=0"'
    third = f'[[row]]\nname = "wild"\nset = [{wild}]\n'
    for text, told in ((first, 1), (first + second + third, 2)):
        rows.write_text(text, encoding="utf-8")
        done = run("ladder", rows, *command)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == told
    stored = json.loads(record.read_text(encoding="utf-8"))["rows"]
    assert [row["run"] for row in stored] == ["base", "wider", "wild"]
    assert all(row["validation perplexity"] > 1 for row in stored[:2])
    assert stored[2]["failed"] == "Training stopped"
    assert stored[0]["steps"] == 4
    for row in stored[:2]:
        kept = logs / row["run"]
        names = {path.name for path in kept.iterdir()}
        assert names == {"report.json", "training.jsonl"}  # and no weights
        report = json.loads((kept / "report.json").read_text(encoding="utf-8"))
        assert report["valid"]["perplexity"] == row["validation perplexity"]
        assert report["command"][:2] == ["rnnlm", "train"]
        lines = (kept / "training.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(lines[-1])["step"] == 4
    assert not (logs / "wild" / "report.json").exists()


def test_a_run_that_fails_says_why(english_file: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.toml"
    rows.write_text('[[row]]\nname = "a"\nset = ["unitz=8"]\n', encoding="utf-8")
    done = run("ladder", rows, "--json", tmp_path / "l.json", "--", english_file)
    assert done.returncode != 0
    assert "Did you mean 'units'?" in done.stderr


def test_rows_that_would_be_kept_in_one_folder(
    english_file: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.toml"
    rows.write_text('[[row]]\nname = "a b"\n[[row]]\nname = "A, b"\n', encoding="utf-8")
    options = ["--json", tmp_path / "l.json", "--keep", tmp_path / "logs"]
    done = run("ladder", rows, *options, "--", english_file)
    assert done.returncode == 2
    assert "'a b' and 'A, b' would both be kept in 'a-b'" in done.stderr
    assert not (tmp_path / "logs").exists()
