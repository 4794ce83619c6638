"""Settle the Keras backend before Keras is imported.

`KERAS_BACKEND` decides, else JAX. A `keras.json` is no choice: Keras writes that file
by itself and names TensorFlow in it, absent or not. A Keras that is already loaded
keeps its backend.
"""

import os
import shutil
import sys


def settle() -> None:
    """Set `KERAS_BACKEND` to jax where nobody has chosen."""
    if "keras" not in sys.modules and not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = "jax"


def device_name() -> str:
    """Return the backend and the device it computes on, for example `jax on cpu`."""
    import keras

    name = keras.backend.backend()
    if name == "jax":
        import jax

        device = jax.devices()[0]
        kind = device.platform if device.platform == "cpu" else device.device_kind
    elif name == "torch":
        import torch

        on_gpu = torch.cuda.is_available()
        kind = torch.cuda.get_device_name(0) if on_gpu else "cpu"
    else:
        import tensorflow as tf

        kind = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
    return f"{name} on {kind}"


def unused_gpu() -> str | None:
    """Return a warning when an NVIDIA GPU is there but the backend is on the CPU."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or os.environ.get("JAX_PLATFORMS") == "cpu":
        return None  # somebody wants it so
    there = os.path.exists("/dev/nvidia0") or shutil.which("nvidia-smi") is not None
    if not there or not device_name().endswith("on cpu"):
        return None
    return (
        "An NVIDIA GPU is visible but unused: this backend sees only the CPU. "
        "Install the CUDA build: pip install 'keras-rnnlm[cuda]'."
    )
