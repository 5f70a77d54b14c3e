"""A latency above the limit is measured again before it counts."""

import pytest

from longtail_trainer.export.latency import Latency, latency_within


@pytest.mark.parametrize(
    ("limit", "measured", "counts", "left"),
    [
        (10, [9, 1, 1], 9, 2),
        (10, [11, 9, 1], 9, 1),
        (10, [13, 12, 10], 10, 0),
        (10, [13, 11, 12], 11, 0),
        (None, [13, 1, 1], 13, 2),
    ],
    ids=["within at once", "within at the second", "within at the third", "the lowest of three", "no limit"],
)
def test_the_first_measurement_within_the_limit_counts_else_the_lowest(limit, measured, counts, left):
    times = iter(measured)
    assert latency_within(limit, lambda: Latency(1, next(times))) == Latency(1, counts)
    assert len(list(times)) == left
