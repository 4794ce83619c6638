"""The compiled kernels of this process: loaded once, registered with JAX by name.

`available()` says whether they can be used. Where they cannot (no compiler, a failed
build, no CPU backend, `RNNLM_NATIVE=off`), one line on the log says why and all goes
on without them.
"""

import ctypes
import logging
import os
from functools import lru_cache
from typing import Any

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.native.build import (
    TARGETS,
    BuildError,
    best_target,
    build,
)

# The kernels, by the name of their handler in the C++ sources.
HANDLERS = (
    "rnnlm_lstm_forward",
    "rnnlm_lstm_backward",
    "rnnlm_gru_forward",
    "rnnlm_gru_backward",
)

_log = logging.getLogger("keras_rnnlm")


def available() -> bool:
    """Whether the kernels can be called, compiling them if they are not yet."""
    return target() is not None


@lru_cache(maxsize=1)
def target() -> str | None:
    """Load the kernels; return the instruction set they were made for, None if not.

    `RNNLM_NATIVE` chooses another set ("avx2", "portable"), or "off".

    Raises:
        ConfigError: `RNNLM_NATIVE` has another value.
    """
    wanted = os.environ.get("RNNLM_NATIVE", "")
    if wanted not in ("", "off", *TARGETS):
        raise ConfigError(
            f"Expected RNNLM_NATIVE to be off, {', '.join(TARGETS)} or unset; "
            f"received '{wanted}'."
        )
    if wanted == "off":
        return None
    import jax

    if jax.default_backend() != "cpu":
        return None
    chosen = wanted or best_target()
    try:
        library = ctypes.CDLL(str(build(chosen, jax.ffi.include_dir())))
    except (BuildError, OSError) as error:
        _log.warning(
            "The CPU kernels are not used: %s. XLA's own are, which take about twice "
            "the time.",
            error,
        )
        return None
    for name in HANDLERS:
        handler = jax.ffi.pycapsule(getattr(library, name))
        jax.ffi.register_ffi_target(name, handler, platform="cpu")
    return chosen


def call(name: str, results: Any, *arrays: Any, **attributes: Any) -> Any:
    """Call a kernel inside a JAX computation.

    Args:
        name: One of `HANDLERS`.
        results: `jax.ShapeDtypeStruct`, or a list of them.
        *arrays: Its arguments.
        **attributes: Its attributes: NumPy scalars, whose types are the kernel's.
    """
    import jax

    function = jax.ffi.ffi_call(name, results, vmap_method="sequential")
    return function(*arrays, **attributes)
