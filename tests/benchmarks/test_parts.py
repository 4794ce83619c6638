import pytest

from tests.benchmarks.scripts import run


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_part_takes_its_time(dtype: str) -> None:
    done = run("parts", "tiny", "--dtype", dtype, "--rounds", 1, "--trace", 3)
    assert done.returncode == 0, done.stderr
    for part in ("embedding", "recurrent layer", "output and loss", "clip and Adam"):
        assert f"\n  {part} " in done.stdout
    assert "whole step" in done.stdout
    assert "fit, a step" in done.stdout
