import json
from pathlib import Path

import pytest

from tests.benchmarks.scripts import run, script

scaling = script("scaling")


@pytest.mark.slow
def test_a_series_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file, picture = tmp_path / "s.json", tmp_path / "s.png"
    options = ["--units", 8, "--megabytes", 1, "--seconds", 0.01, "--only", "units"]
    for only in ([], ["--only", "text", "--plot", picture]):
        done = run("scaling", *options, *only, "--json", file)
        assert done.returncode == 0, done.stderr
    record = json.loads(file.read_text("utf-8"))
    assert [(p["series"], p["size"], p["kind"]) for p in record["points"]] == [
        ("units", 8, "float32"),
        ("units", 8, "bfloat16"),
        ("text", 1, "word"),
        ("text", 1, "char"),
    ]
    assert all(point["microseconds"] > 0 for point in record["points"])
    text = record["points"][-1]
    assert set(text["parts"]) == {"vocabulary", "encoding", "batches"}
    assert abs(text["tokens"] - 1_000_000) <= 1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_made_up_text_has_the_size_asked_for(tmp_path: Path) -> None:
    scaling.write_text(tmp_path / "text.txt", 300_000)
    text = (tmp_path / "text.txt").read_text("ascii")
    assert len(text) == 300_000
    assert len(set(text.split())) > 1000


def test_bends_are_where_caches_are_full() -> None:
    found = scaling.bends({"cores": 2, "caches": {"L2": 1 << 20, "L3": 32 << 20}})
    sizes = {why: size for size, why in found["units"]}
    # One of two cores holds half of 4 x 362 x 362 floats of 4 bytes.
    assert round(sizes["a core's float32 weights fill L2"]) == 362
    assert round(sizes["a core's bfloat16 weights fill L2"]) == 512
    assert round(found["vocabulary"][0][0]) == 32_768
    assert scaling.bends({"cores": 2, "caches": {}})["units"] == []
