import json
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.scripts import run, script
from tests.conftest import needs_compiler


def test_every_direction_has_a_line(tmp_path: Path) -> None:
    needs_compiler()
    record = tmp_path / "record.json"
    done = run("products", "--shapes", "4x6x10", "--rounds", 2, "--json", record)
    assert done.returncode == 0, done.stderr
    rows = json.loads(record.read_text("utf-8"))["rows"]
    assert [row["direction"] for row in rows] == ["A B", "A B'", "A' B"]
    for row in rows:
        assert row["M x K x N"] == "4 x 6 x 10"
        assert {"XLA", "XLA, float32"} <= row.keys()
        assert f"{row['M x K x N']:20}{row['direction']}" in done.stdout


@pytest.mark.parametrize("transposed", [(False, False), (False, True), (True, False)])
def test_all_ways_give_the_same_product(
    transposed: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_compiler()
    monkeypatch.setenv("RNNLM_NATIVE", "")  # put back afterwards
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 7)), rng.standard_normal((7, 9))
    laid = [
        (matrix.T if flip else matrix).astype("float32")
        for matrix, flip in zip((a, b), transposed, strict=True)
    ]
    for name, product in script("products").ways(transposed).items():
        close = 1e-4 if "float32" in name else 0.1
        np.testing.assert_allclose(product(*laid), a @ b, atol=close, err_msg=name)


def test_a_shape_that_is_none() -> None:
    done = run("products", "--shapes", "4x6")
    assert done.returncode == 2
    assert "expected such as 700x650x2600, received 4x6" in done.stderr
