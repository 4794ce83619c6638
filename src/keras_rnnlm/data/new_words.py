"""Words and characters of a text that a tokenizer does not know yet."""

from collections.abc import Sequence

from keras_rnnlm.data.character_tokenizer import CharacterTokenizer
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.data.vocabulary import count_characters, count_words, most_frequent
from keras_rnnlm.data.word_tokenizer import WordTokenizer


def with_new_words(
    tokenizer: Tokenizer, files: Sequence[TextFile], minimum_count: int
) -> Tokenizer:
    """Return a tokenizer that knows the new words, or characters, of some files too.

    Args:
        tokenizer: of words or characters.
        files: the text; training text alone.
        minimum_count: how often a word must stand there.

    Returns:
        A tokenizer whose ids begin with those of the given one, the most frequent of
        the new words next; the given one if there are none.

    Raises:
        InputError: a tokenizer of pieces of words.
    """
    if isinstance(tokenizer, WordTokenizer):
        counted = count_words(files, tokenizer.words, tokenizer.last_cut, False)
        counts = tokenizer.vocabulary_words(counted)
    elif isinstance(tokenizer, CharacterTokenizer):
        counts = count_characters(files)
    else:
        return tokenizer.extended([])
    known = set(tokenizer.tokens)
    new = {word: count for word, count in counts.items() if word not in known}
    chosen = most_frequent(new, None, minimum_count)
    return tokenizer.extended(chosen) if chosen else tokenizer
