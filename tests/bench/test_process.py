import pytest

from keras_rnnlm.bench.process import ContestantFailed, Process

LIBRARY = {"task": "ceiling", "library": "numpy"}


def test_it_answers_until_it_is_closed() -> None:
    with Process(LIBRARY, None) as process:
        process.wait()
        wish = {"what": "bandwidth", "bytes": 4096, "seconds": 0.001}
        assert process.ask(wish)["bytes"] == 4096
        assert process.ask({"what": "products", "seconds": 0.001}) == {"rows": []}


def test_a_failure_is_told_with_its_reason() -> None:
    with Process({"task": "ceiling", "library": "fortran"}, None) as process:
        with pytest.raises(ContestantFailed, match="KeyError: 'fortran'"):
            process.wait()
        with pytest.raises(ContestantFailed, match="ended with code 1"):
            process.ask({"what": "products", "seconds": 0.001})


def test_a_wish_that_fails_is_told_too() -> None:
    with Process(LIBRARY, None) as process:
        process.wait()
        with pytest.raises(ContestantFailed, match="KeyError: 'seconds'"):
            process.ask({"what": "products"})
