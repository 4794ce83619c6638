"""A prompt as a network reads it."""

from keras_rnnlm.data.piece_tokenizer import PieceTokenizer
from keras_rnnlm.data.tokenizers import Tokenizer

PIECES = ("bpe", "unigram")


def read_part(tokenizer: Tokenizer, prompt: str) -> str:
    """Return what is read of a prompt: all but a space that its next word brings along.

    In training a piece that is a space alone never stands before a word, so a network
    that has read one expects anything but a word.
    """
    held_back = tokenizer.kind in PIECES and prompt.endswith(" ")
    return prompt[:-1] if held_back else prompt


def spaced(tokenizer: Tokenizer, prompt: str) -> bool:
    """Whether the prompt has the space that comes before the first word written."""
    return tokenizer.kind in ("word", *PIECES) and prompt.endswith(" ")


def going_on(tokenizer: Tokenizer, prompt: str) -> tuple[int, ...]:
    """Return the pieces that must not come first after a prompt, none for most.

    Where a space that is not read ends the prompt, they are those that begin without
    one: after "the " a piece "s" would be shown as "the s", and be read as "thes".
    None where no piece is a word with a space before it, as those of Chinese text:
    only a line end and bytes that were never seen would be left.
    """
    read = read_part(tokenizer, prompt)
    if not isinstance(tokenizer, PieceTokenizer) or read == prompt:
        return ()
    if not read[-1:].strip():  # no word stands before the space
        return ()
    pieces = tokenizer.pieces
    if not any(piece.startswith(b" ") and piece.strip() for piece in pieces):
        return ()
    return tuple(i for i, piece in enumerate(pieces) if not piece[:1].isspace())
