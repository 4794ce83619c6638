import json
import sys
from pathlib import Path

import pytest

from tests.benchmarks.scripts import run


def test_files_are_made_and_read(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("is about what Linux says of memory")
    record = tmp_path / "record.json"
    done = run(
        "word_vectors", "--megabytes", 1, "--width", 20, "--vocabulary", 100,
        "--json", record,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(record.read_text())["rows"]
    assert [row["file"] for row in rows] == ["text", "binary", "text.gz"]
    for row in rows:
        assert 1 <= row["MB"] < 1.3
        assert row["kept"] == 100
        assert row["peak MB"] < 500
