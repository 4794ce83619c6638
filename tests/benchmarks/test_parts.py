import pytest

from tests.benchmarks.scripts import run


@pytest.mark.slow
def test_every_part_takes_its_time() -> None:
    done = run("parts", "tiny", "--dtype", "bfloat16", "--rounds", 1, "--trace", 3)
    assert done.returncode == 0, done.stderr
    for part in ("embedding", "recurrent layer", "output and loss", "clip and Adam"):
        assert f"\n  {part} " in done.stdout
    assert "whole step" in done.stdout
    assert "fit, a step" in done.stdout
