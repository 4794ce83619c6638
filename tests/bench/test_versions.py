from keras_rnnlm.bench.versions import versions


def test_versions_of_what_is_installed() -> None:
    found = versions()
    assert {"python", "keras-rnnlm", "keras", "jax", "numpy"} <= set(found)
