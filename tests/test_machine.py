import json
import platform

from keras_rnnlm.machine import machine


def test_facts_are_ready_for_json_and_name_no_host() -> None:
    facts = machine()
    assert set(facts) == {
        "system",
        "processor",
        "processor_model",
        "instructions",
        "cores",
        "caches",
        "memory",
    }
    assert facts["cores"] >= 1
    assert platform.node() not in json.dumps(facts)
    assert json.loads(json.dumps(facts)) == facts
    assert all(size > 0 for size in facts["caches"].values())
    assert facts["memory"] is None or facts["memory"] > 1 << 24
