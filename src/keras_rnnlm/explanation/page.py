"""The page of an explanation: one HTML file with all it needs inside of it.

The figures are one JSON object in the page, which its script reads; whatever stands in
the text is data there and is written as text, never as HTML. A content security policy
forbids the page to load anything.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any

_PARTS = {"STYLE": "page.css", "SCRIPT": "page.js"}
# What could end the element that the data stands in, or a line of script.
_HARMFUL = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def html(figures: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        figures: What `Explanation.to_json` gives.
    """
    folder = resources.files("keras_rnnlm.explanation") / "template"
    values = {
        name: (folder / file).read_text(encoding="utf-8")
        for name, file in _PARTS.items()
    }
    model, text = figures["model"]["name"], figures["text"]["name"]
    values["TITLE"] = escape(f"{model} reads {text}")
    values["DATA"] = data(figures)
    template = (folder / "page.html").read_text(encoding="utf-8")
    # In one pass, so that nothing in a value is taken for a place to fill.
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], template)


def data(figures: Mapping[str, Any]) -> str:
    """Return figures as JSON that can stand inside of a script element."""
    text = json.dumps(
        figures, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return re.sub("[<>&\u2028\u2029]", lambda found: _HARMFUL[found[0]], text)
