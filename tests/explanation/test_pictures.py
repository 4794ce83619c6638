"""What is written in the pictures of an explanation."""

from keras_rnnlm.explanation.pictures import _visible
from keras_rnnlm.fonts import DEFAULT, Fonts


def test_characters_that_no_font_has_are_code_points() -> None:
    fonts = Fonts((DEFAULT,), frozenset("缺"))
    assert _visible("缺 a$", fonts) == r"[7F3A]␣a\$"
    assert _visible("", fonts, "缺") == "[7F3A]"
