import json
from pathlib import Path

import pytest

from keras_rnnlm.bench import compare
from keras_rnnlm.bench.compare import Plan
from keras_rnnlm.bench.peers import peer
from keras_rnnlm.bench.pictures import comparison
from tests.bench.records import tiny_record
from tests.benchmarks.scripts import script

pytestmark = pytest.mark.slow

KEYS = {
    "task",
    "workload",
    "cell",
    "units",
    "layers",
    "vocabulary",
    "batch",
    "steps",
    "peer",
    "family",
    "dtype",
    "tokens_per_second",
    "work_per_token",
    "ceiling",
    "fraction",
    "parameters",
    "how",
    "loops",
    "kernels",
    "settings",
    "first_seconds",
}


def test_keys_are_stable() -> None:
    record, _ = tiny_record()
    assert set(record) == {
        "kind",
        "format",
        "date",
        "command",
        "machine",
        "versions",
        "rounds",
        "seconds",
        "allocator",
        "ceiling",
        "bandwidth",
        "results",
        "missing",
        "failed",
    }
    assert all(set(row) == KEYS for row in record["results"])
    assert json.loads(json.dumps(record)) == record


def test_everybody_who_can_is_measured() -> None:
    record, _ = tiny_record()
    measured = [(r["task"], r["cell"], r["peer"]) for r in record["results"]]
    assert measured == [
        ("training", "lstm", "ours-float32"),
        ("training", "lstm", "keras-jax-float32"),
        ("generation", "lstm", "ours-float32"),
    ]


def test_the_median_of_all_turns_counts() -> None:
    record, _ = tiny_record()
    for row in record["results"]:
        rate = row["tokens_per_second"]
        assert len(rate["runs"]) == record["rounds"] == 2
        assert rate["median"] == sum(rate["runs"]) / 2
        assert 0 < rate["min"] <= rate["median"] <= rate["max"]


def test_fractions_are_of_the_right_ceiling() -> None:
    record, _ = tiny_record()
    for row in record["results"]:
        done = row["tokens_per_second"]["median"] * row["work_per_token"]
        assert row["fraction"] == pytest.approx(done / row["ceiling"])
        of_one_type = [
            r["ceiling"] for r in record["results"] if r["task"] == row["task"]
        ]
        assert set(of_one_type) == {row["ceiling"]}


def test_models_are_the_same() -> None:
    record, _ = tiny_record()
    # Two layers of 4 gates, embedding, output and their biases.
    size = 2 * (4 * 16 * 32 + 4 * 16) + 50 * 16 + 16 * 50 + 50
    assert {row["parameters"] for row in record["results"]} == {size}


def test_ours_say_which_loop_they_took() -> None:
    record, _ = tiny_record()
    for row in record["results"]:
        if row["family"] == "ours":
            assert len(row["loops"]) == (2 if row["task"] == "training" else 1)
            assert all(isinstance(loop, str) for loop in row["loops"])
        else:
            assert row["loops"] is None


def test_who_keeps_freed_memory() -> None:
    def allocators(name: str) -> list[str]:
        plan = Plan((), (), (), 1, 1.0, 1.0, "", name)
        return [
            compare._allocator(plan, peer(p)) for p in ("ours-int8", "torch-float32")
        ]

    assert {name: allocators(name) for name in ("kept", "own", "plain")} == {
        "kept": ["kept", "kept"],
        "own": ["kept", "plain"],
        "plain": ["plain", "plain"],
    }


def test_who_is_missing_or_fails_is_said() -> None:
    record, said = tiny_record()
    (missing,) = record["missing"]
    assert missing["peer"] == "absent-float32"
    assert "no_such_module" in missing["reason"]
    assert {row["peer"] for row in record["failed"]} == {"broken-float32"}
    assert all("no-such-backend" in row["reason"] for row in record["failed"])
    assert any("absent-float32" in line for line in said)
    assert any("broken-float32" in line for line in said)


def test_a_picture_of_it(tmp_path: Path) -> None:
    record, _ = tiny_record()
    comparison(record, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_it_becomes_tables() -> None:
    record, _ = tiny_record()
    said = "\n".join(script("tables").section("x.json", record))
    assert "training: LSTM 2 x 16, vocabulary 50, batch 4, 8 steps (median" in said
    assert "| ours-float32 | " in said
    assert "Absent: absent-float32: no_such_module not installed" in said
    assert "Failed: broken-float32 at training of tiny lstm" in said
