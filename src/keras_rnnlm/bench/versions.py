"""The software that figures were measured with."""

import platform
from importlib.metadata import PackageNotFoundError, version

from keras_rnnlm import __version__

PACKAGES = (
    "jax",
    "jaxlib",
    "keras",
    "numpy",
    "onnxruntime",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
)


def versions() -> dict[str, str]:
    """Return the version of Python, of ours and of what is installed beside it."""
    found = {"python": platform.python_version(), "keras-rnnlm": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
