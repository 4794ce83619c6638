r"""How tokens are written in ARPA files, whose words end at white space.

A token stands there as it is, in UTF-8, except for this: `\xHH`, two hexadecimal
digits, is the character with that code. So are written

- space, tab, newline and the other characters up to U+0020, and U+007F: a character
  model's space is `\x20`, its newline `\x0a`, and the piece " the" is `\x20the`;
- a backslash before `xHH`, and only there, as `\x5c`;
- the first character of a token that reads like `<s>`, `</s>`, `<unk>` or `<UNK>` and
  is not what these stand for: `\x3cs>`.

Every token comes back from that, and a file of words made elsewhere is read as it is.
The id that ends a sentence is `</s>`, and the unknown one `<unk>`.
"""

import re
from collections import Counter

from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.errors import InputError

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
_SPECIAL = (START, END, UNKNOWN, "<UNK>")
_WRITTEN = re.compile(r"[\x00-\x20\x7f]|\\(?=x[0-9a-fA-F]{2})")
_READ = re.compile(rb"\\x([0-9a-fA-F]{2})")


def escape(token: str) -> str:
    """Return how a token that is not special is written."""
    written = _WRITTEN.sub(lambda found: _code(found[0]), token)
    return _code(written[0]) + written[1:] if written in _SPECIAL else written


def unescape(word: bytes) -> bytes:
    """Return the token, in UTF-8, that a word of a file stands for."""
    if b"\\x" not in word:
        return word
    return _READ.sub(lambda found: chr(int(found[1], 16)).encode(), word)


def written_words(tokenizer: Tokenizer, sentence_end: int | None) -> list[str]:
    """Return the word of each id, and behind them that of the start.

    Args:
        tokenizer: What the ids mean.
        sentence_end: The id that is `</s>`, if one is.

    Raises:
        InputError: If two ids would have one word.
    """
    words = [escape(token) for token in tokenizer.tokens]
    if tokenizer.unk_id is not None:
        words[tokenizer.unk_id] = UNKNOWN
    if sentence_end is not None:
        words[sentence_end] = END
    if len(set(words)) < len(words):
        word, count = Counter(words).most_common(1)[0]
        raise InputError(
            "An ARPA file knows words by how they are written, and "
            f"{count} tokens of this vocabulary are written '{word}'. Use another "
            "vocabulary."
        )
    return [*words, START]


def ids_of_tokens(tokenizer: Tokenizer) -> dict[bytes, int]:
    """Return the id of each token by its text in UTF-8, `<unk>` left out."""
    return {
        token.encode("utf-8", "surrogatepass"): index
        for index, token in enumerate(tokenizer.tokens)
        if index != tokenizer.unk_id
    }


def _code(character: str) -> str:
    return f"\\x{ord(character):02x}"
