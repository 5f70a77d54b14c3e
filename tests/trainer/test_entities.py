"""Whom samples are about, across scenarios."""

import numpy as np
import pytest

from longtail_trainer.data.entities import Keys, shared_between_scenarios


def keys(*numbers: int) -> Keys:
    return np.asarray(numbers, dtype=np.uint64)


NOBODY = keys()


@pytest.mark.parametrize(
    ("training", "test", "shared"),
    [
        ([keys(1, 2), keys(3)], [keys(3), NOBODY], 1),
        ([keys(1, 2), keys(3)], [keys(1, 2), keys(3)], 0),
        ([keys(1, 2), keys(2)], [keys(2, 2), keys(2)], 1),
        ([keys(1), keys(1), NOBODY], [keys(1, 9), NOBODY, keys(1, 8)], 1),
        ([NOBODY, keys(5)], [keys(5, 7), keys(7)], 1),
        ([NOBODY, NOBODY], [keys(5), keys(7)], 0),
    ],
)
def test_an_entity_counts_once_if_it_is_tested_where_another_scenario_trains_on_it(
    training: list[Keys], test: list[Keys], shared: int
):
    assert shared_between_scenarios(training, test) == shared
