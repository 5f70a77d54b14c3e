"""How much of a scenario's data the features of its generation can tell apart.

They were fitted on the pool. A scenario that came later may have numbers beyond the pool's range, which all become the
bound, and categories that the pool never had, which all become the unknown one.
"""

import numpy as np

from longtail_api.store_objects import CategoricalStatistics, Features, NumericEncoding, NumericStatistics, Statistics


def coverage(statistics: Statistics, features: Features) -> dict[str, float]:
    """Share of the training values that are clipped or unknown, by column, from 0 (all are told apart) to 1.

    Of numbers, it is that of the sample. A null is neither: it has its indicator or index. A column without a value in
    the training rows isn't named.
    """
    shares = {
        name: _clipped(statistics.numeric[name], encoding)
        for name, encoding in features.numeric.items()
        if name in statistics.numeric
    } | {
        name: _unknown(statistics.categorical[name], vocabulary)
        for name, vocabulary in features.vocabularies.items()
        if name in statistics.categorical
    }
    return {name: share for name, share in shares.items() if share is not None}


def _clipped(statistics: NumericStatistics, encoding: NumericEncoding) -> float | None:
    values = np.asarray(statistics.sample, dtype=np.float64)
    if not len(values):
        return None
    return float(((values < encoding.low) | (values > encoding.high)).mean())


def _unknown(statistics: CategoricalStatistics, vocabulary: list[str]) -> float | None:
    rows = {value: count for value, count in statistics.estimates().items() if value}
    total = sum(rows.values())
    if not total:
        return None
    return 1 - sum(rows.get(value, 0) for value in vocabulary) / total
