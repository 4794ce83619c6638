import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.scoring.prefix_tree import PrefixTree

SEQUENCES = st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=12)


@given(sequences=SEQUENCES)
def test_each_distinct_prefix_is_one_node(sequences: list[list[int]]) -> None:
    tree = PrefixTree.of([np.array(ids, np.int32) for ids in sequences])
    assert tree.places.shape == (len(sequences), len(tree.levels))
    for depth, level in enumerate(tree.levels):
        wanted = {tuple(ids[: depth + 1]) for ids in sequences if len(ids) > depth}
        assert len(level.tokens) == len(level.parents) == len(wanted)
        assert (np.diff(level.parents) >= 0).all()


@given(sequences=SEQUENCES)
def test_going_up_from_its_place_spells_a_sequence(sequences: list[list[int]]) -> None:
    tree = PrefixTree.of([np.array(ids, np.int32) for ids in sequences])
    for ids, places in zip(sequences, tree.places, strict=True):
        assert (places >= 0).sum() == len(ids)
        assert (places[len(ids) :] == -1).all()
        node, spelt = int(places[len(ids) - 1]) if ids else -1, []
        for depth in reversed(range(len(ids))):
            assert node == places[depth]
            spelt.append(int(tree.levels[depth].tokens[node]))
            node = int(tree.levels[depth].parents[node])
        assert spelt[::-1] == ids


def test_nothing_makes_an_empty_tree() -> None:
    assert PrefixTree.of([]).levels == []
    assert PrefixTree.of([np.empty(0, np.int32)]).places.shape == (1, 0)
