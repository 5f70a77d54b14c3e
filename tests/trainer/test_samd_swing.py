"""How alike scenarios are by the entities that they share (SAMD, Eq. 3)."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_trainer.data.entities import Keys
from longtail_trainer.methods.samd.swing import Floats, by_size, most_similar, swing


def keys(*numbers: int) -> Keys:
    return np.asarray(sorted(numbers), dtype=np.uint64)


def by_definition(entities: list[Keys], smoothing: float, *, distinct_entities: bool = False) -> Floats:
    """Eq. 3 with every pair of entities: (entities, entities) terms, summed over those that two scenarios share."""
    everyone = np.unique(np.concatenate(entities))
    within = np.stack([np.isin(everyone, own) for own in entities], axis=1).astype(float)
    weight = within.sum(1) ** -0.5
    terms = np.outer(weight, weight) / (smoothing + within @ within.T)
    if distinct_entities:
        np.fill_diagonal(terms, 0)
    result = np.zeros((len(entities), len(entities)))
    for one, other in combinations(range(len(entities)), 2):
        both = within[:, one] * within[:, other]
        result[one, other] = result[other, one] = both @ terms @ both
    return result


A, B, C = 0, 1, 2
PAPER = [keys(1, 2), keys(1, 2, 3), keys(2, 3)]
"""Entity 1 is in A and B, 2 in all three, 3 in B and C."""


def test_eq_3_as_printed():
    found = swing(PAPER)
    assert found[A, B] == pytest.approx(0.522166, abs=1e-6)
    assert found[B, C] == pytest.approx(0.522166, abs=1e-6)
    assert found[A, C] == pytest.approx(0.083333, abs=1e-6)
    assert (found == found.T).all()
    assert not found.diagonal().any()


def test_of_distinct_entities_alone_the_terms_of_one_entity_are_missing():
    found = swing(PAPER, distinct_entities=True)
    assert (found[A, B], found[A, C]) == (pytest.approx(0.272166, abs=1e-6), 0)


some_entities = st.lists(st.sets(st.integers(0, 12)).map(lambda own: keys(*own)), min_size=1, max_size=6)


@given(entities=some_entities, smoothing=st.sampled_from([0.25, 1.0, 3.0]), distinct_entities=st.booleans())
def test_of_few_pairs_it_is_exact(entities: list[Keys], smoothing: float, distinct_entities: bool):
    found = swing(entities, smoothing, distinct_entities=distinct_entities)
    expected = by_definition(entities, smoothing, distinct_entities=distinct_entities)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_it_is_exact_for_more_scenarios_than_a_word_has_bits():
    random = np.random.default_rng(0)
    entities = [keys(*random.choice(40, size=8, replace=False)) for _ in range(130)]
    np.testing.assert_allclose(swing(entities), by_definition(entities, 1.0), rtol=1e-12)


def planted(scenarios: int = 12, entities: int = 2_000) -> list[Keys]:
    """Each entity in some scenarios of one of three clusters, and now and then in one of another; hashed."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**63, entities, dtype=np.uint64)
    cluster, home = random.integers(0, 3, entities), np.arange(scenarios) % 3
    own = random.random((entities, scenarios)) < np.where(home == cluster[:, None], 0.5, 0.05)
    return [np.sort(hashes[own[:, scenario]]) for scenario in range(scenarios)]


def test_beyond_so_many_pairs_it_is_near():
    entities = planted()
    exact = swing(entities, pairs=10**6)
    np.testing.assert_allclose(exact, by_definition(entities, 1.0), rtol=1e-9)
    error = np.abs(swing(entities)[exact > 0] / exact[exact > 0] - 1)
    assert error.mean() < 0.02
    assert error.max() < 0.1


def test_those_most_similar_are_of_the_same_cluster():
    for scenario, found in enumerate(most_similar(swing(planted()), 3)):
        assert {int(one) % 3 for one in found} == {scenario % 3}


def test_the_most_similar_come_first_and_who_shares_nobody_has_none():
    entities = [keys(1, 2, 3, 4), keys(1, 2, 9), keys(3, 4, 1), keys(7)]
    assert [[int(one) for one in row] for row in most_similar(swing(entities), 2)] == [[2, 1], [0, 2], [0, 1], []]


def test_without_its_size_a_large_scenario_is_no_more_alike_than_a_small_one():
    """The first scenario shares all of the second one's entities, and twice as many of the third one's, which is ten
    times as large."""
    entities = [keys(*range(40)), keys(*range(10)), keys(*range(20, 40), *range(100, 180))]
    found = swing(entities)
    assert found[0, 2] > found[0, 1]
    sized = by_size(found, entities)
    assert sized[0, 1] > sized[0, 2]
    assert sized[0, 1] == pytest.approx(found[0, 1] / 100)


def test_nobody_is_shared():
    assert not swing([keys(1, 2), keys(3), keys()]).any()
    assert swing([]).shape == (0, 0)
