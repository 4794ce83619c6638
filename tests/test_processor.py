import os

import pytest

from keras_rnnlm import processor
from keras_rnnlm.processor import (
    has_matrix_unit,
    processor_flags,
    processor_model,
    usual_precision,
    visible_cores,
)


def test_this_machine() -> None:
    assert 1 <= visible_cores() <= (os.cpu_count() or 1)
    assert all(flag and not flag.isspace() for flag in processor_flags())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"cpu family": "25", "model": "17", "stepping": "1"},
            "cpu family 25, model 17, stepping 1",
        ),
        (
            {"CPU part": "0xd0c", "CPU implementer": "0x41"},
            "CPU implementer 0x41, CPU part 0xd0c",
        ),
        ({}, ""),
    ],
)
def test_what_tells_processors_of_one_name_apart(
    told: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "_told", lambda key: told.get(key, ""))
    assert processor_model.__wrapped__() == expected  # not what is known already


@pytest.mark.parametrize(
    ("vendor", "flags", "unit", "expected"),
    [
        ("AuthenticAMD", {"avx512_bf16"}, False, "mixed_bfloat16"),
        ("GenuineIntel", {"avx512_bf16"}, False, "float32"),
        ("GenuineIntel", {"avx512_bf16", "amx_bf16"}, True, "mixed_bfloat16"),
        ("AuthenticAMD", {"avx512f"}, False, "float32"),
        ("", set(), False, "float32"),
    ],
)
def test_bfloat16_is_usual_where_it_is_quick(
    vendor: str,
    flags: set[str],
    unit: bool,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delenv("RNNLM_NATIVE", raising=False)
    monkeypatch.setattr(processor, "processor_vendor", lambda: vendor)
    monkeypatch.setattr(processor, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(processor, "has_matrix_unit", lambda: unit)
    assert usual_precision() == expected


@pytest.mark.parametrize(
    ("vendor", "variable", "value", "expected"),
    [
        ("GenuineIntel", "KERAS_BACKEND", "torch", "float32"),
        ("GenuineIntel", "RNNLM_NATIVE", "avx512", "float32"),
        ("AuthenticAMD", "RNNLM_NATIVE", "avx512", "mixed_bfloat16"),
        ("AuthenticAMD", "RNNLM_NATIVE", "avx2", "float32"),
        ("AuthenticAMD", "RNNLM_NATIVE", "off", "float32"),
    ],
)
def test_bfloat16_is_usual_only_where_our_products_run(
    vendor: str,
    variable: str,
    value: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delenv("RNNLM_NATIVE", raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(processor, "processor_vendor", lambda: vendor)
    monkeypatch.setattr(processor, "processor_flags", lambda: {"avx512_bf16"})
    unit = vendor == "GenuineIntel"
    monkeypatch.setattr(processor, "has_matrix_unit", lambda: unit)
    assert usual_precision() == expected


def test_a_processor_without_a_matrix_unit_is_not_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(name: str | None) -> None:
        raise AssertionError(f"{name} was loaded")

    flags = frozenset({"amx_tile", "avx512f"})
    monkeypatch.setattr(processor, "processor_flags", lambda: flags)
    monkeypatch.setattr("ctypes.CDLL", asked)
    assert not has_matrix_unit.__wrapped__()


@pytest.mark.parametrize(("answer", "expected"), [(0, True), (-1, False)])
def test_the_system_may_refuse_the_matrix_unit(
    answer: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class System:
        def __init__(self, name: str | None) -> None: ...

        def syscall(self, *numbers: int) -> int:
            assert numbers == (158, 0x1023, 18)
            return answer

    flags = frozenset({"amx_tile", "amx_bf16"})
    monkeypatch.setattr(processor, "processor_flags", lambda: flags)
    monkeypatch.setattr("ctypes.CDLL", System)
    assert has_matrix_unit.__wrapped__() is expected
