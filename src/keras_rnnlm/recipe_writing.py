"""Settings as the TOML text of a recipe."""

import json
import math
from collections.abc import Mapping
from typing import Any

from keras_rnnlm.config import Settings


def recipe_toml(settings: Settings, comment: str = "") -> str:
    """Return a recipe that gives just these settings.

    Args:
        settings: Those that are as by default are left out.
        comment: Lines to stand above.
    """
    default = Settings().to_dict()
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for key, value in settings.to_dict().items():
        if value != default[key] and value is not None:
            lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"Expected a finite number, received {value}.")
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        rows = (f"{_key(key)} = {_value(v)}" for key, v in value.items())
        return f"{{ {', '.join(rows)} }}"
    # A JSON string is a TOML string.
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else json.dumps(key)
