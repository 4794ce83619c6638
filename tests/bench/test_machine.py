import json

from keras_rnnlm.bench.machine import machine, versions


def test_facts_are_ready_for_json_and_name_no_host() -> None:
    import platform

    facts = machine()
    assert facts["cores"] >= 1
    assert set(facts) == {"system", "processor", "instructions", "cores", "caches"}
    assert platform.node() not in json.dumps(facts)
    assert all(size > 0 for size in facts["caches"].values())


def test_versions_of_what_is_installed() -> None:
    found = versions()
    assert {"python", "keras-rnnlm", "keras", "jax", "numpy"} <= set(found)
