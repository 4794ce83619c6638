"""Guess the encoding of bytes that are not what they were said to be.

The guess is only ever offered in an error message: nothing is decoded by it.
"""

_ENOUGH = 1 << 16
# Letters that are among the most frequent of each language's running text.
_CHINESE = "的一是不了在人有我他中大上到子和你地出道也就那要下以生自天"
_KANA = "のにはをたがでてとしれさあいるなくもりこうらかまっよき"
_CYRILLIC = "оеаинтсрвлкмдпуя"
_FREQUENT = {
    "gb18030": _CHINESE + "这来国个说们为时会风花春月无山何如",
    "big5": _CHINESE + "這來國個說們為時會風花春月無山何如",
    "shift_jis": _KANA,
    "euc_jp": _KANA,
    "euc_kr": "이다의는에을를가하고한지로기사은리도서어나대아그시자",
    "cp1251": _CYRILLIC,
    "koi8_r": _CYRILLIC,
}
# In an 8-bit code any bytes give a good share of frequent letters.
_CHANCE = {"cp1251": 0.5, "koi8_r": 0.5}


def likely_encoding(data: bytes) -> str:
    """Name the encoding that these bytes are most likely in.

    Args:
        data: bytes from a text file, beginning between two characters; only the first
            65,536 are looked at.

    Returns:
        A name for `--encoding`; `latin-1`, which takes any byte, when nothing fits
        better.
    """
    data = data[:_ENOUGH]
    wide = _likely_utf16(data)
    if wide:
        return wide
    if _is_mostly_utf8(data):
        return "utf-8"
    high = [byte >= 0x80 for byte in data]
    alone = sum(
        here and not before and not after
        for before, here, after in zip(
            [False, *high[:-1]], high, [*high[1:], False], strict=True
        )
    )
    # Accented letters of European text stand alone between ASCII letters; the bytes
    # of other scripts come in runs.
    if alone > 0.5 * sum(high):
        return "cp1252" if any(0x80 <= byte < 0xA0 for byte in data) else "latin-1"
    scores = {name: _frequent_share(data, name) for name in _FREQUENT}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 0 else "latin-1"


def _likely_utf16(data: bytes) -> str:
    """Recognise UTF-16 by NUL bytes that stand at even or odd places only."""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if odd and even * 20 < odd and odd * 20 > len(data):
        return "utf-16-le"
    if even and odd * 20 < even and even * 20 > len(data):
        return "utf-16-be"
    return ""


def _is_mostly_utf8(data: bytes) -> bool:
    """Tell UTF-8, even with a few damaged places, from every other encoding."""
    text = data.decode("utf-8", "replace")
    foreign = sum(character >= "\x80" for character in text)
    return text.count("\ufffd") * 10 <= foreign


def _frequent_share(data: bytes, encoding: str) -> float:
    """Share of frequent letters in the non-ASCII characters, less what chance gives."""
    text = data.decode(encoding, "replace")
    foreign = [character for character in text if character >= "\x80"]
    frequent = set(_FREQUENT[encoding])
    share = sum(character in frequent for character in foreign) / max(len(foreign), 1)
    return share - _CHANCE.get(encoding, 0.0)
