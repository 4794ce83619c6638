import json
from pathlib import Path

from tests.benchmarks.scripts import FOLDER, run, script

tables = script("tables")
HEAD = {
    "date": "2026-01-02T03:04:05+00:00",
    "command": "python x.py",
    "machine": {
        "system": "Linux x86_64",
        "processor": "A Processor",
        "instructions": ["avx2"],
        "cores": 2,
        "caches": {"L1": 32768, "L2": 1 << 20},
    },
    "versions": {"python": "3.11.2"},
}


def test_the_tables_of_the_page_are_those_of_the_records() -> None:
    done = run("tables", "--check")
    assert done.returncode == 0, f"{done.stdout}: run python benchmarks/tables.py"


PLACES = ("/home/", "/root/", "/tmp/", "/work/", "/Users/")


def test_records_name_date_and_machine_and_no_path() -> None:
    for name, record in tables.records(FOLDER / "results").items():
        assert name.startswith(record["date"][:10])
        assert "cores" in name
        assert not [place for place in PLACES if place in json.dumps(record)], name


def test_kept_reports_name_no_path() -> None:
    reports = sorted((FOLDER / "results" / "runs").rglob("report.json"))
    assert reports
    for path in reports:
        text = path.read_text("utf-8")
        assert not [place for place in PLACES if place in text], path.parent.name


def test_a_page_is_made_between_its_marks(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps(
            {
                **HEAD,
                "kind": "figures",
                "title": "Start",
                "rows": [
                    {"what": "help", "seconds": 0.1234567},
                    {"what": "train", "seconds": 23456.7, "note": None},
                ],
            }
        )
    )
    page = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n"
    made = tables.page(page, tmp_path)
    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "old" not in made
    assert "| what | seconds | note |" in made
    assert "| help | 0.1235 |  |" in made
    assert "| train | 23,457 |  |" in made
    assert "2026-01-02; A Processor, 2 cores, avx2; L1 32 KiB, L2 1,024 KiB" in made
    assert tables.page(made, tmp_path) == made


def test_precision_and_scaling() -> None:
    curve = [{"step": 10, "tokens": 100, "valid_loss": 4.0}]
    narrow = [{"step": 10, "tokens": 100, "valid_loss": 4.01}]
    model = {"cell": "lstm", "layers": 2, "units": 650, "batch": 20, "steps": 35}
    said = tables.precision(
        {
            "precisions": {
                "float32": {"curve": curve, "valid_loss": 4.0},
                "mixed_bfloat16": {"curve": narrow, "valid_loss": 4.02},
            },
            "difference": 0.005,
            "model": model,
            "vocabulary": 10_000,
        }
    )
    assert "| 10 | 4.0000 | 4.0100 | +0.25% |" in said
    assert "| end, in float32 | 4.0000 | 4.0200 | +0.50% |" in said
    point = {"series": "units", "size": 1500, "kind": "float32", "microseconds": 12.34}
    point |= {"gflops": 150.4, "layers": 2, "units": 1500, "vocabulary": 1000}
    point |= {"batch": 32, "steps": 35}
    text = {"series": "text", "size": 1000, "kind": "char", "memory_before": 100.0}
    text |= {"memory_after": 150.4}
    text |= {"parts": {"vocabulary": 0.01, "encoding": 0.02, "batches": 0.03}}
    said = tables.scaling({"points": [point, text]})
    assert "| 1,500 | 12.3 | 150 |" in said
    assert "| 1,000 | 0.010 | 0.020 | 0.030 | +50 MB |" in said
