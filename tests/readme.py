"""What stands in the READMEs: commands, Python, error messages, links."""

import re
from pathlib import Path

from tests.conftest import CHECKOUT

READMES = {"en": CHECKOUT / "README.md", "zh": CHECKOUT / "README.zh-CN.md"}


def text_of(language: str) -> str:
    return READMES[language].read_text(encoding="utf-8")


def blocks(language: str, kind: str) -> list[str]:
    """The fenced blocks with the info string `kind`."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text_of(language), re.M | re.S)


def commands(language: str) -> list[str]:
    """The lines of the `sh` blocks, without comments."""
    lines = "".join(blocks(language, "sh")).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def prose(language: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(language), flags=re.M | re.S)


def measured_commands(language: str) -> list[str]:
    """The commands of the table of measured figures."""
    table = text_of(language).partition("<!-- figures -->")[2].partition("\n\n")[0]
    return re.findall(r"^\|[^|]*\| `([^`]+)` \|", table, re.M)


def error_messages(language: str) -> list[str]:
    """The first column of the table of error messages."""
    sections = prose(language).split("\n## ")
    section = next(s for s in sections if "examples/prefix_recipe.py" in s)
    rows = re.findall(r"^\| (`+) ?(.+?) ?\1 \|", section, re.M)
    return [message for _, message in rows]


def links(language: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", prose(language))


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a file's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }
