import numpy as np

from keras_rnnlm.explanation.properties import NAMES, properties


def marked(text: str, name: str) -> str:
    """The text with a dot for every character behind which it is not so."""
    flags = properties(list(text))[name]
    return "".join(c if flag else "." for c, flag in zip(text, flags, strict=True))


def test_quotes_and_brackets() -> None:
    assert marked('a "bc" d', "quotes") == '.."bc...'
    assert marked("他说「好」。“不”", "quotes") == "..「好..“不."
    assert marked("don’t", "quotes") == "....."
    assert marked("a (b [c] d) e", "brackets") == "..(b [c] d..."
    assert marked("（甲）乙)", "brackets") == "（甲..."
    assert marked("(a] b) c", "brackets") == "(a] b..."


def test_a_mark_that_is_never_closed_ends() -> None:
    text = '"' + "a" * 3000
    assert 900 < properties(list(text))["quotes"].sum() < 1100
    text = "(" + "a" * 3000
    assert 900 < properties(list(text))["brackets"].sum() < 1100


def test_characters() -> None:
    assert marked("a1 22b", "digit") == ".1.22."
    assert marked("Ab CD", "capital") == "A..CD"
    assert marked("ab, c d", "word") == ".b..c.d"


def test_lateness_is_against_the_median() -> None:
    text = "abcdefgh\n" * 5
    assert marked(text, "line")[:9] == "....efgh."[:4] + "efgh."
    assert marked("ab,cdefgh,", "clause").count(".") >= 5
    for name in ("line", "clause"):
        assert 0.2 < properties(list(text))[name].mean() < 0.6


def test_pieces_have_what_is_behind_their_last_character() -> None:
    pieces = ["He", ' "', "it", '"', "\n", "", "7"]
    found = properties(pieces)
    assert set(found) == set(NAMES)
    assert found["quotes"].tolist() == [False, True, True, False, False, False, False]
    assert found["digit"].tolist() == [False] * 6 + [True]
    assert all(flags.shape == (7,) for flags in found.values())
    assert all(flags.dtype == np.bool_ for flags in found.values())
