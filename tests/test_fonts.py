import pytest

from keras_rnnlm import fonts
from keras_rnnlm.fonts import DEFAULT, font_families, font_note


def test_latin_needs_no_other_font() -> None:
    assert font_families(["naïve", " text\n\x00", "Ελλ"]) == ([DEFAULT], "")
    assert font_note("") is None


def test_fonts_are_added_until_all_characters_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = {DEFAULT: "abc", "One": "de", "Two": "abcd", "Three": "f", "Four": "xyz"}
    monkeypatch.setattr(fonts, "_path_of", lambda name: (name, 0))
    monkeypatch.setattr(fonts, "_characters", lambda place: frozenset(held[place[0]]))
    monkeypatch.setattr(fonts, "_add_new_fonts", lambda: None)
    monkeypatch.setattr(fonts, "_candidates", lambda: list(held)[1:])
    assert font_families(["ad"]) == ([DEFAULT, "One"], "")
    assert font_families(["a", "df"]) == ([DEFAULT, "One", "Three"], "")
    families, lacking = font_families(["aq!z"])
    assert families == [DEFAULT, "Four"] and lacking == "!q"
    assert "2 of the text's characters (!q)" in str(font_note(lacking))


def test_a_font_that_is_no_font_has_no_characters(tmp_path: object) -> None:
    assert fonts._characters((f"{tmp_path}/none.ttf", 0)) == frozenset()


def test_what_is_found_is_drawn_and_the_rest_is_said() -> None:
    families, lacking = font_families(["明月几时有"])
    assert families[0] == DEFAULT
    assert not [name for name in families if name.startswith("Last Resort")]
    assert (len(families) == 1) == (lacking == "几明时有月")
    assert (font_note(lacking) is None) == (lacking == "")
