r"""How tokens are written in files of word vectors, and which words stand in for them.

Words in such files end at a space. So a token is written as it is, but a space in it is
`▁` (U+2581), as sub-word models write it everywhere, and any other white space or
control character, a `▁` of its own, and a backslash before `x` or `u` are `\xHH` or
`\uHHHH`: a character model's newline is `\x0a`, the piece " the" is `▁the`.

A word that a file lacks may be looked for under other spellings, if the user wants so:
`CASES` and `NORMALIZATIONS` say which. They change the word of the vocabulary, never
the words of the file: `Café` finds `cafe`, but `cafe` does not find `café`.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from keras_rnnlm.data.tokenizer_base import UNK, Tokenizer

HOW = ("exact", "case", "normalized")
"""How a word was found: as it is, in another case, or normalised."""

CASES = ("exact", "lower", "any")

_SPECIAL_ENDS = ("</s>",)
_SPECIAL_UNKNOWN = ("<UNK>", "[UNK]")
_WRITTEN = re.compile(r"[\s\x00-\x1f\x7f▁]|\\(?=[xu][0-9a-fA-F]{2})")
_QUOTES = str.maketrans("‘’‚‛“”„‟`´", "''''\"\"\"\"''")
_MARKS = ("Mn", "Mc")


def file_word(token: str) -> str:
    """Return how a token is written in a file of vectors."""
    return _WRITTEN.sub(lambda found: _code(found[0]), token)


def written_words(tokenizer: Tokenizer) -> list[str]:
    """Return how each token of a vocabulary is written, in the order of ids."""
    return [file_word(token) for token in tokenizer.tokens]


def spellings(word: str, case: str, normalize: Sequence[str]) -> dict[str, str]:
    """Return what a word may be called in a file, the best first, and how.

    Args:
        word: As `file_word` returns it.
        case: One of `CASES`.
        normalize: Some of `NORMALIZATIONS`; each goes on from the one before.

    Returns:
        Spelling to one of `HOW`.
    """
    found: dict[str, str] = {}
    forms = [word]
    for name in normalize:
        forms.append(NORMALIZATIONS[name](forms[-1]))
    for form in forms:
        for variant in (form, *_in_case(form, case)):
            how = "normalized" if form != word else "case"
            found.setdefault(variant, "exact" if variant == word else how)
    return found


def searched(
    tokenizer: Tokenizer, case: str, normalize: Sequence[str]
) -> dict[bytes, list[tuple[int, int, int]]]:
    """Return what to look for in a file.

    The line end is also looked for as `</s>`, and the unknown word as `<UNK>` and
    `[UNK]`, as other tools write them.

    Args:
        tokenizer: Of the vocabulary.
        case: One of `CASES`.
        normalize: Some of `NORMALIZATIONS`.

    Returns:
        For each word of a file (UTF-8) the ids it may serve, each with the rank of that
        spelling, the best being 0, and the index of how in `HOW`.
    """
    wanted: dict[bytes, list[tuple[int, int, int]]] = {}
    for token, word in enumerate(written_words(tokenizer)):
        found = spellings(word, case, normalize)
        if token == tokenizer.eos_id:
            found = dict.fromkeys((word, *_SPECIAL_ENDS), "exact")
        elif token == tokenizer.unk_id and word == UNK:
            found = dict.fromkeys((word, *_SPECIAL_UNKNOWN), "exact")
        for rank, (spelling, how) in enumerate(found.items()):
            # A half surrogate pair is in no file of UTF-8.
            key = spelling.encode("utf-8", "surrogatepass")
            wanted.setdefault(key, []).append((token, rank, HOW.index(how)))
    return wanted


def _in_case(word: str, case: str) -> tuple[str, ...]:
    if case == "exact":
        return ()
    if case == "lower":
        return (word.lower(),)
    return word.lower(), word[:1].upper() + word[1:].lower(), word.upper()


def _without_accents(word: str) -> str:
    parts = unicodedata.normalize("NFD", word)
    kept = "".join(c for c in parts if unicodedata.category(c) not in _MARKS)
    return unicodedata.normalize("NFC", kept)


def _digits_as(sign: str) -> Callable[[str], str]:
    return lambda word: "".join(sign if c.isdecimal() else c for c in word)


NORMALIZATIONS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "nfc": lambda word: unicodedata.normalize("NFC", word),
        "nfkc": lambda word: unicodedata.normalize("NFKC", word),
        "accents": _without_accents,
        "quotes": lambda word: word.translate(_QUOTES),
        "digits": _digits_as("#"),
        "zeros": _digits_as("0"),
    }
)
"""Names of normalisations and what they do to a word."""


def _code(character: str) -> str:
    if character == " ":
        return "▁"
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
