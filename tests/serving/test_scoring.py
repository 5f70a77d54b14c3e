"""The metric by which versions are compared."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from longtail_serving.check.scoring import metric

rows = st.lists(st.tuples(st.integers(0, 5).map(float), st.sampled_from([0.0, 1.0])), min_size=2, max_size=60)


@given(rows)
def test_auc_is_that_of_scikit_learn(scored: list[tuple[float, float]]):
    scores, labels = [score for score, _ in scored], [label for _, label in scored]
    assume(len(set(labels)) == 2)
    assert metric("binary", scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_one_class_has_no_auc():
    assert metric("binary", [0.1, 0.9], [1.0, 1.0]) is None


def test_rmse_is_in_the_labels_unit():
    assert metric("regression", [1.0, 5.0], [4.0, 1.0]) == pytest.approx((25 / 2) ** 0.5)


def test_no_rows_have_no_metric():
    assert metric("binary", [], []) is None
    assert metric("regression", [], []) is None
