"""Finding the words of text that is written without spaces."""

import logging
import warnings
from collections.abc import Callable
from functools import lru_cache

from keras_rnnlm.errors import InputError, nearest

SEGMENTERS = ("jieba",)


def load_segmenter(name: str) -> Callable[[str], list[str]]:
    """Return a function from a line to its words, white space left out.

    Raises:
        InputError: the segmenter is unknown, or its package is not installed.
    """
    if name not in SEGMENTERS:
        raise InputError(
            f"Unknown segmenter '{name}'.{nearest(name, SEGMENTERS)} "
            f"There is: {', '.join(SEGMENTERS)}."
        )
    return _jieba()


@lru_cache(maxsize=1)
def _jieba() -> Callable[[str], list[str]]:
    """Load jieba once for the whole program: its dictionary takes a second."""
    try:
        with warnings.catch_warnings():
            # jieba's sources predate the warnings about escapes and pkg_resources.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=SyntaxWarning)
            warnings.filterwarnings("ignore", "pkg_resources", UserWarning)
            import jieba
    except ImportError:
        raise InputError(
            "The segmenter jieba is not installed. Run: pip install "
            "'keras-rnnlm[jieba]'; or use --tokenizer char or --tokenizer bpe."
        ) from None
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()

    def segment(line: str) -> list[str]:
        return [word for word in tokenizer.cut(line) if not word.isspace()]

    return segment
