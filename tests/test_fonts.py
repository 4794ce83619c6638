from pathlib import Path

import pytest

from keras_rnnlm import fonts
from keras_rnnlm.fonts import DEFAULT, Fonts, fonts_for, write_caption

LATIN = frozenset(map(chr, range(33, 600)))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, frozenset[str]]:
    """Fonts that are said to be installed."""
    known = {
        DEFAULT: LATIN,
        "Noto Sans CJK SC": LATIN | set("宋词典"),
        "A Runic": frozenset("ᚠᚢ"),
        "Z Big": frozenset("宋词典ᚠ") | LATIN,
    }
    monkeypatch.setattr(fonts, "_candidates", lambda: tuple(known))
    monkeypatch.setattr(fonts, "_characters_of", lambda name: known[name])
    monkeypatch.setattr(fonts, "_add_new_fonts", lambda: None)
    return known


def test_the_default_is_enough(installed: dict[str, frozenset[str]]) -> None:
    assert fonts_for(["plain text", "Zürich"]) == Fonts((DEFAULT,))
    assert fonts_for([]).note is None


def test_others_come_to_it(installed: dict[str, frozenset[str]]) -> None:
    assert fonts_for(["宋词"]).families == (DEFAULT, "Noto Sans CJK SC")
    # What covers most comes first, the rest is looked for in others.
    assert fonts_for(["宋词ᚠᚢ"]).families == (DEFAULT, "Z Big", "A Runic")
    assert fonts_for(["宋词ᚠᚢ"]).label("宋 $x_1$") == r"宋 \$x_1\$"


def test_a_word_about_what_is_missing(installed: dict[str, frozenset[str]]) -> None:
    found = fonts_for(["宋缺", "あ"])
    assert found.missing == {"缺", "あ"}
    assert found.note is not None and "缺" in found.note
    assert "fonts-noto-cjk" in found.note
    assert found.caption is not None and found.caption.isascii()
    assert "CJK, Hiragana" in found.caption
    assert found.label("宋缺あ") == "宋[7F3A][3042]"


def test_the_real_ones_are_read(tmp_path: Path) -> None:
    """On any machine a picture of any text can be drawn, without a warning."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    text = "The 宋词 ᚠ €"
    found = fonts_for([text])
    assert found.families[0] == DEFAULT and "T" not in found.missing
    with found.used():
        figure = Figure()
        FigureCanvasAgg(figure)
        figure.subplots().set_title(found.label(text))
        write_caption(figure, found, "black")
        figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_names_that_begin_with_an_underscore_stay_in_legends() -> None:
    assert fonts_for(["_a"]).label("_a") == " _a"
