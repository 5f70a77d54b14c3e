"""Metrics against definitions and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.training.evaluation import (
    auc,
    binary_metrics,
    evaluate,
    expected_calibration_error,
    gauc,
    midranks,
    rmse,
)
from tests.trainer.prepared_data import FEATURES

RANDOM = np.random.default_rng(5)


def scored(rows: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = (RANDOM.random(rows) < 0.3).astype(float)
    scores = RANDOM.normal(size=rows) + labels
    return (np.round(scores) if ties else scores), labels


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_log_loss_are_scikit_learns(ties):
    scores, labels = scored(500, ties)
    metrics = binary_metrics(scores, labels)
    assert metrics["auc"].value == pytest.approx(roc_auc_score(labels, scores))
    assert metrics["logLoss"].value == pytest.approx(log_loss(labels, 1 / (1 + np.exp(-scores))))


def test_ranks_of_equal_values_are_their_mean():
    assert midranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1, 3.5, 2]


def test_the_variance_behind_the_interval_is_delongs():
    scores, labels = scored(60, ties=True)
    positives, negatives = scores[labels == 1], scores[labels == 0]
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    variance = wins.mean(1).var(ddof=1) / len(positives) + wins.mean(0).var(ddof=1) / len(negatives)
    metric = auc(scores, labels)
    spread = np.sqrt(variance) * 1.959964 / (metric.value * (1 - metric.value))
    logit = np.log(metric.value / (1 - metric.value))
    assert metric.low == pytest.approx(1 / (1 + np.exp(spread - logit)))
    assert metric.high == pytest.approx(1 / (1 + np.exp(-spread - logit)))


def test_the_interval_holds_the_true_auc_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    truth = 0.7602499  # two unit normals one apart: Φ(1/√2)
    held = 0
    for _ in range(400):
        labels = (random.random(150) < 0.3).astype(float)
        metric = auc(random.normal(size=150) + labels, labels)
        held += metric.low <= truth <= metric.high
    assert 0.92 <= held / 400 <= 0.98


def test_a_perfect_separation_does_not_claim_certainty():
    metric = auc(np.array([1.0, 2.0, 3.0, 9.0, 10.0]), np.array([0, 0, 0, 1, 1]))
    assert metric.value == 1
    assert metric.high == 1
    assert metric.low == 0
    many = auc(np.arange(200.0), (np.arange(200) >= 100).astype(float))
    assert many.low == pytest.approx(0.97)


@pytest.mark.parametrize("labels", [[], [1.0, 1.0], [0.0, 0.0, 0.0]])
def test_one_class_is_not_estimable_and_no_error(labels):
    metric = binary_metrics(np.zeros(len(labels)), np.array(labels))["auc"]
    assert metric.value is None
    assert metric.reason == "MetricNotEstimable"
    assert metric.rows == len(labels)


def test_calibration_error_is_zero_where_shares_agree_and_their_distance_where_not():
    labels = np.tile([1.0, 0.0, 0.0, 0.0], 250)
    assert expected_calibration_error(np.full(1000, 0.25), labels) == pytest.approx(0, abs=1e-9)
    assert expected_calibration_error(np.full(1000, 0.65), labels) == pytest.approx(0.4)


def test_only_observed_labels_count_and_further_labels_are_named():
    rows = 40
    observed = torch.ones(rows, 2, dtype=torch.bool)
    observed[30:, 0] = False
    labels = torch.zeros(rows, 2)
    labels[::2, 0] = 1
    logits = torch.stack([labels[:, 0] * 4 - 2, torch.full((rows,), 0.5)], dim=1)
    logits[30:, 0] *= -1  # wrong, but not observed
    entity = torch.arange(rows) // 4
    nothing = torch.zeros(rows, 0)
    split = EncodedSplit(nothing, nothing, {}, labels, observed, torch.ones(rows), entity)
    metrics = evaluate(logits, split, FEATURES)
    assert metrics["auc"].value == 1
    assert metrics["auc"].rows == 30
    assert metrics["gauc"].value == 1
    assert metrics["gauc"].rows == 30
    assert metrics["spent.rmse"].value == pytest.approx(0.5 * 3)  # in the label's own unit: scale 3


@pytest.mark.parametrize("ties", [False, True])
def test_the_grouped_auc_is_the_mean_of_the_entities_own_weighted_by_their_rows(ties):
    scores, labels = scored(300, ties)
    entities = RANDOM.integers(-5, 40, 300)
    metric = gauc(scores, labels, entities)
    each = [(scores[entities == one], labels[entities == one]) for one in np.unique(entities)]
    both = [(score, label) for score, label in each if 0 < label.sum() < len(label)]
    sizes = [len(label) for _, label in both]
    expected = np.average([roc_auc_score(label, score) for score, label in both], weights=sizes)
    assert metric.value == pytest.approx(expected)
    assert metric.rows == sum(sizes) < 300
    assert metric.low < metric.value < metric.high


def test_the_grouped_auc_does_not_see_the_level_of_an_entitys_scores():
    labels, scores, entities = np.tile([0.0, 1.0], 20), np.tile([1.0, 2.0], 20), np.arange(40) // 2
    assert gauc(scores - 100 * entities, labels, entities).value == 1
    assert gauc(-scores - 100 * entities, labels, entities).value == 0


def test_without_an_entity_of_both_classes_the_grouped_auc_is_not_estimable():
    for labels in (np.zeros(0), np.ones(4), np.array([0.0, 0.0, 1.0, 1.0])):
        metric = gauc(np.arange(float(len(labels))), labels, np.arange(len(labels)) // 2)
        assert (metric.value, metric.rows, metric.reason) == (None, 0, "MetricNotEstimable")


def test_the_root_mean_square_error_has_an_interval_round_it():
    metric = rmse(np.array([3.0, -4.0, 0.0, 1.0]))
    assert metric.value == pytest.approx(np.sqrt(26 / 4))
    assert metric.low < metric.value < metric.high
    assert rmse(np.array([])).reason == "MetricNotEstimable"
