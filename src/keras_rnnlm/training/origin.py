"""How and on what a model was made: the lines on it of a model card."""

import re
import shlex
from typing import Any


def origin_lines(report: dict[str, Any]) -> list[str]:
    """Return paragraphs of Markdown on the command and the machine of a run.

    Args:
        report: Of the run. One of an older version has neither, and one of a run from
            Python has no command: what is not known is left out.
    """
    lines: list[str] = []
    if command := report.get("command"):
        lines += ["", f"Command: {_code(shlex.join(command))}"]
    if machine := _machine(report["environment"]):
        lines += ["", f"Machine: {machine}."]
    return lines


def _machine(environment: dict[str, Any]) -> str:
    """Return what tells the machine apart from others of its name."""
    if "processor_model" not in environment:
        return ""
    cores, memory = environment["cores"], environment["memory"]
    parts = [
        environment["machine"],
        environment["processor_model"],
        f"{cores} core{'' if cores == 1 else 's'}",
        "" if memory is None else f"{memory / (1 << 30):.1f} GiB of memory",
        " ".join(environment["instructions"]),
    ]
    return "; ".join(filter(None, parts))


def _code(text: str) -> str:
    """Return a text as code in a line of Markdown, whatever backticks it has."""
    text = text.replace("\n", " ")
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}"
