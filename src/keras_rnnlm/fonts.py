"""Fonts for the characters of a text, from those that are installed.

Matplotlib draws a box for a character that its font lacks. It can fall back from font
to font, if it is told which ones; here they are found. Where none has a character, a
sentence says so.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

DEFAULT = "DejaVu Sans"
# Looked at first: whole scripts in good shape, on Linux, macOS and Windows.
LIKELY = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Noto Sans CJK JP",
    "Arial Unicode MS",
)
MOST = 4


def font_families(text: Iterable[str]) -> tuple[list[str], str]:
    """Find fonts that together have the characters of a text.

    Args:
        text: the text, or pieces of it.

    Returns:
        Names of font families for matplotlib, in order of preference, and the
        characters that none of them has. Control characters and white space are not
        looked for.
    """
    wanted = {c for piece in text for c in piece if c.isprintable() and c != " "}
    families = [DEFAULT]
    wanted -= _characters(_path_of(DEFAULT))
    if wanted:
        _add_new_fonts()
    for name in _candidates() if wanted else ():
        found = wanted & _characters(_path_of(name))
        if found:
            families.append(name)
            wanted -= found
        if not wanted or len(families) == MOST:
            break
    return families, "".join(sorted(wanted))


def font_note(lacking: str) -> str | None:
    """Return a sentence on characters that no font has; None without any."""
    if not lacking:
        return None
    shown = lacking[:10] + ("..." if len(lacking) > 10 else "")
    return (
        f"No installed font has {len(lacking)} of the text's characters ({shown}); "
        "pictures show boxes for them. Install a font that has them, such as Noto Sans "
        "CJK (Debian: fonts-noto-cjk)."
    )


def _candidates() -> list[str]:
    """Likely families first, then all others in order of name."""
    from matplotlib.font_manager import fontManager

    # The one of last resort has boxes for all characters there are.
    known = {
        entry.name
        for entry in fontManager.ttflist
        if not entry.name.startswith("Last Resort")
    }
    known -= {DEFAULT}
    likely = [name for name in LIKELY if name in known]
    return [*likely, *sorted(known - set(likely))]


def _add_new_fonts() -> None:
    """Let matplotlib know of fonts that were installed since it last looked."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        # One that is damaged, or of a kind that matplotlib cannot use.
        with suppress(OSError, RuntimeError, ValueError):
            fontManager.addfont(path)


def _path_of(name: str) -> tuple[str, int]:
    """The file of a family, and the font's place in it."""
    from matplotlib.font_manager import fontManager

    entries = [entry for entry in fontManager.ttflist if entry.name == name]
    plain = [e for e in entries if e.style == "normal" and str(e.weight) == "400"]
    entry = (plain or entries)[0]
    return entry.fname, getattr(entry, "index", 0)


@lru_cache(maxsize=64)
def _characters(place: tuple[str, int]) -> frozenset[str]:
    """The characters that a font has."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(place[0])
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(map(chr, font.get_charmap()))
