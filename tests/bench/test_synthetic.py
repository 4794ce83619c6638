import numpy as np

from keras_rnnlm.bench.synthetic import SyntheticText, zipf_ids
from keras_rnnlm.data.streams import StreamBatches


def test_frequencies_fall_with_the_rank() -> None:
    ids = zipf_ids(100_000, 1_000)
    counts = np.bincount(ids, minlength=1_000)
    assert ids.min() == 0
    assert ids.max() < 1_000
    # Of two ids, twice the rank is half the count.
    assert abs(counts[0] / counts[1] - 2.0) < 0.2
    assert abs(counts[9] / counts[19] - 2.0) < 0.4


def test_the_same_seed_gives_the_same_ids() -> None:
    assert (zipf_ids(50, 10, 3) == zipf_ids(50, 10, 3)).all()
    assert (zipf_ids(50, 10, 3) != zipf_ids(50, 10, 4)).any()


def test_a_stream_takes_it() -> None:
    text = SyntheticText(zipf_ids(101, 10).astype(np.uint32))
    inputs, targets = StreamBatches(text, batch_size=4, steps=5)[0]
    assert inputs["tokens"].shape == targets.shape == (4, 5)
    assert (inputs["tokens"][0] == text.ids[:5]).all()
