import json
from pathlib import Path

from keras_rnnlm import cell_registry
from keras_rnnlm.layers.make import parameters, state_size
from tests.benchmarks.scripts import run, script


def test_cells_take_turns_with_the_lstm(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    sizes = ["--units", 8, "--lanes", 2, "--steps", 3]
    turns = ["--rounds", 2, "--seconds", 0]
    done = run("cells", *sizes, *turns, "--cells", "gru", "min_gru", "--json", record)
    assert done.returncode == 0, done.stderr
    found = json.loads(record.read_text("utf-8"))
    assert found["kind"] == "figures" and "cores" in found["machine"]
    rows = {(row["cell"], row["settings"]): row for row in found["rows"]}
    forms = [("gru", ""), ("gru", "reset_after=false"), ("lstm", ""), ("min_gru", "")]
    assert sorted(rows) == forms
    took = [row["ms"] for row in found["rows"]]
    assert took == sorted(took) and took[0] > 0
    for (cell, settings), row in rows.items():
        arguments = {"reset_after": False} if settings else None
        assert row["state"] == state_size(cell, arguments, 8, 8)
        weights = parameters(cell, arguments, 8, 8)
        assert row["million weights"] == round(weights / 1e6, 2)
        assert row["from"] <= row["of lstm"] <= row["to"]
        assert f"{cell} {settings}".strip() in done.stdout
    assert rows["lstm", ""]["of lstm"] == 1
    assert rows["gru", "reset_after=false"]["loop"] == "jax-scan"


def test_every_registered_cell_is_measured() -> None:
    cells = script("cells")
    found = list(cells.entries(650))
    assert {entry.cell for entry in found} == set(cell_registry.names())
    assert cells.Entry("lstm", {}) in found
    assert cells.Entry("mlstm", {"heads": 5}) in found  # four do not divide 650
    assert cells.Entry("mlstm", {}) in list(cells.entries(640))
    for units in (7, 8, 640, 650):
        for cell, arguments in cells.entries(units):
            if cell not in cell_registry.BUILT_IN:
                continue  # registered by other tests
            assert parameters(cell, arguments, units, units) > 0  # and none is refused


def test_a_width_that_a_cell_refuses() -> None:
    done = run("cells", "--units", 1, "--cells", "mlstm")
    assert done.returncode == 2
    assert "heads of at least two units" in done.stderr
