"""Which split each sample belongs to: test, validation, and the training rows' support and query sets."""

import numpy as np
from numpy.typing import NDArray

from longtail_api.data_schema import SplitRule
from longtail_api.store_objects import SPLITS
from longtail_trainer.data.prepare.identity import Keys, mixed, shares

SUPPORT, QUERY, VALIDATION, TEST = range(len(SPLITS))
_SPLIT_SALT = 1
_QUERY_SALT = 2

Codes = NDArray[np.int8]
"""Position in `SPLITS`, by row."""


def assigned_splits(
    rule: SplitRule, keys: Keys, times: NDArray[np.int64], given: NDArray[np.int8] | None, query_share: float
) -> Codes:
    """The split of each row.

    keys: identity of each row, by `entity` that of its entity; rows of one identity are never parted by these two, nor
        within the training rows by any.
    times: microseconds; rows of one instant are never parted by `temporal`.
    given: for the method `column`: SUPPORT (train), VALIDATION or TEST of each row.
    With two identities or more to train on, neither support nor query set is empty.
    """
    test, validation = float(rule.test), float(rule.validation)
    if rule.method == "column":
        assert given is not None
        codes = given.copy()
    elif rule.method == "temporal":
        codes = _latest_last(times, test, validation)
    else:
        position = shares(mixed(keys, _SPLIT_SALT))
        codes = np.where(position < test, TEST, np.where(position < test + validation, VALIDATION, SUPPORT))
        codes = codes.astype(np.int8)
    training = codes == SUPPORT
    codes[training] = np.where(_in_query(keys[training], query_share), QUERY, SUPPORT)
    return codes


def _latest_last(times: NDArray[np.int64], test: float, validation: float) -> Codes:
    """The latest share of the rows is the test set, the share before it the validation set."""
    codes = np.full(len(times), SUPPORT, dtype=np.int8)
    ordered = np.sort(times)
    last_training = len(times) - round(len(times) * (test + validation))
    last_validation = len(times) - round(len(times) * test)
    if last_training < len(times):
        codes[times >= ordered[last_training]] = VALIDATION
    if last_validation < len(times):
        codes[times >= ordered[last_validation]] = TEST
    return codes


def _in_query(keys: Keys, query_share: float) -> NDArray[np.bool_]:
    """Whether each training row is of the query set."""
    position = shares(mixed(keys, _QUERY_SALT))
    query = position < query_share
    if len(keys) and (query.all() or not query.any()) and position.min() < position.max():
        # By chance one set would be empty, which no later step could use: one identity makes it up.
        return position == position.min() if not query.any() else position < position.max()
    return query
