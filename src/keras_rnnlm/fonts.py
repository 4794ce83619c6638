"""Fonts that have the characters of a text, for pictures that name words of it.

Matplotlib takes a list of families and looks each character up in them in turn. So the
list is DejaVu Sans, which comes with it, and for what that lacks the installed fonts
that have it. What no font has is written as its code points, and the picture says so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

DEFAULT = "DejaVu Sans"
# Of fonts that cover equally much the first of these; they are made to be read.
PREFERRED = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
    "Noto Sans",
)
# It has a sign for every character, and the sign says nothing.
_NO_FONTS = ("Last Resort High-Efficiency", "Last Resort")
_MOST_NAMED = 12


@dataclass(frozen=True)
class Fonts:
    """What a picture is written with.

    Attributes:
        families: For Matplotlib, in the order in which they are looked into.
        missing: Characters that none of them has.
    """

    families: tuple[str, ...]
    missing: frozenset[str] = frozenset()

    @property
    def note(self) -> str | None:
        """A word about what is missing; None if nothing is."""
        if not self.missing:
            return None
        some = "".join(sorted(self.missing)[:_MOST_NAMED])
        more = " and others" if len(self.missing) > _MOST_NAMED else ""
        return (
            f"No installed font has the characters {some}{more}: pictures show their "
            "code points. Install a font that has them, for Chinese, Japanese and "
            "Korean for example fonts-noto-cjk."
        )

    @property
    def caption(self) -> str | None:
        """The same in letters that there are, to stand in the picture."""
        if not self.missing:
            return None
        scripts = sorted({_script(character) for character in self.missing})
        return (
            f"no installed font has these characters ({', '.join(scripts)}): "
            "shown as code points"
        )

    def label(self, text: str) -> str:
        """Return a text as it can be written; `$` and line ends are no commands."""
        found = "".join(
            f"[{ord(c):X}]" if c in self.missing else c for c in text if c.isprintable()
        )
        # Matplotlib leaves names out of a legend that begin with "_".
        return (" " if found.startswith("_") else "") + found.replace("$", r"\$")

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let Matplotlib write with these fonts while the block runs."""
        import matplotlib

        with matplotlib.rc_context({"font.family": list(self.families)}):
            yield


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Return fonts for all characters of some texts, few of them."""
    wanted = {c for text in texts for c in text if c.isprintable() and c != " "}
    families, missing = [DEFAULT], wanted - _characters_of(DEFAULT)
    if missing:
        _add_new_fonts()
    while missing:
        rows = [
            (len(missing & _characters_of(name)), -rank, name)
            for rank, name in enumerate(_candidates())
            if name not in families
        ]
        covered, _, name = max(rows, default=(0, 0, ""))
        if not covered:
            break
        families.append(name)
        missing = missing - _characters_of(name)
    return Fonts(tuple(families), frozenset(missing))


def write_caption(figure: Any, fonts: Fonts, colour: str) -> None:
    """Write at the foot of a picture what no font has."""
    if fonts.caption is not None:
        figure.supxlabel(fonts.caption, fontsize=7, color=colour)


def _add_new_fonts() -> None:
    """Let Matplotlib know of fonts that were installed since it last looked."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        # One that is damaged, or of a kind that Matplotlib cannot use.
        with suppress(OSError, RuntimeError, ValueError):
            fontManager.addfont(path)


def _candidates() -> tuple[str, ...]:
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    first = [name for name in PREFERRED if name in installed]
    rest = sorted(installed - set(first) - set(_NO_FONTS))
    return (*first, *rest)


@lru_cache(maxsize=512)
def _characters_of(family: str) -> frozenset[str]:
    """Return what a family has; nothing where its file cannot be read."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    # Not `findfont`, which complains of every font without a normal weight.
    faces = [each for each in font_manager.fontManager.ttflist if each.name == family]
    faces.sort(key=lambda each: (each.style != "normal", each.fname))
    try:
        return frozenset(map(chr, FT2Font(faces[0].fname).get_charmap()))
    except (IndexError, OSError, RuntimeError, ValueError):
        return frozenset()


def _script(character: str) -> str:
    """Return about which script a character is of: the first word of its name."""
    name = unicodedata.name(character, "UNNAMED").partition(" ")[0]
    return name.partition("-")[0].capitalize() if name != "CJK" else "CJK"
