"""What a step of training needs of memory."""

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.buckets import LONGEST_LINE
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.data.streams import SentenceBatches
from keras_rnnlm.data.word_tokenizer import WordTokenizer
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.training import memory
from keras_rnnlm.training.memory import check_memory, longest_batch, needed_bytes


def test_a_width_that_a_cell_refuses_is_said_before_it_starts() -> None:
    with pytest.raises(ConfigError, match="heads"):
        check_memory(Settings(cell="mlstm", units=25), 50)


def test_layers_that_nobody_can_count_are_refused() -> None:
    with pytest.raises(ConfigError, match="'layers' takes .* at most 1000"):
        Settings(layers=1001)


@pytest.mark.parametrize("words", [3, 60, 1000])
def test_lines_are_as_long_as_their_longest_batch(words: int) -> None:
    tokenizer = WordTokenizer(["a"], unk_is_word=False)
    text = encode_texts(["a a\n" + "a " * words + "\n"], tokenizer)
    lines = Settings(mode="sentence")
    longest = int(SentenceBatches(text, 2).lengths[-1])
    found = longest_batch(lines, text)
    assert abs(found - longest) <= 5  # rounded up to 4, long lines cut evenly
    assert longest_batch(lines) == LONGEST_LINE
    assert longest_batch(Settings(steps=9, steps_deviation=2), text) == 13


def test_attention_over_long_lines_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Settings(network="transformer", units=64, batch_size=64)
    lines = stream.replace(mode="sentence")
    needed = [needed_bytes(10**5, 50, each) for each in (stream, lines)]
    # Shares of attention: 256 positions see 256 + 256, where 35 see 35 + 256.
    assert needed[1] > 5 * needed[0]
    monkeypatch.setattr(memory, "available_bytes", lambda: sum(needed) // 2)
    check_memory(stream, 50)
    with pytest.raises(ConfigError, match="Training would take about"):
        check_memory(lines, 50)
