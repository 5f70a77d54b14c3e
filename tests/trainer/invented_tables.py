"""Latency tables that nobody measured, for tests of what is done with one."""

from longtail_api.light_model_search import SearchSpace
from longtail_trainer.search.latency_cache import predicted_costs
from longtail_trainer.search.latency_table import LatencyTable
from longtail_trainer.search.spaces.alt_cell import CellSpace, space_of
from tests.trainer.tiny_features import a_schema, features_of

FEATURES = features_of(a_schema(sequences=2))
OPERATIONS = ("conv1", "conv3", "max_pool3")


def a_table(edge: float = 0.001, fixed: float = 0.05, tail: float = 1.0, **operations: float) -> LatencyTable:
    """Milliseconds by part; an operation that isn't named takes 0.01."""
    each = dict.fromkeys((*OPERATIONS, "lstm"), 0.01) | operations
    return LatencyTable(fixed=fixed, operations=each, edge=edge, tail=tail)


def a_predicted_space(
    table: LatencyTable | None = None, layers: int = 2, operations: tuple[str, ...] = OPERATIONS
) -> CellSpace:
    spec = SearchSpace(layers=layers, operations=list(operations), width=4)
    return space_of(FEATURES, spec).predicted(predicted_costs(table or a_table()))
