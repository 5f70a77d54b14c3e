"""Real tables: every part takes time, and the parts of a model come to about what it takes. No time is asserted."""

import pytest
import torch

from longtail_api.light_model_search import SearchSpace
from longtail_trainer.export import export, measure_latency
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.search.latency_cache import measured_table, parts_of, predicted_costs
from longtail_trainer.search.latency_table import quietest_blocks
from longtail_trainer.search.spaces.alt_cell import space_of
from tests.trainer.tiny_features import a_schema, features_of

SPACE = SearchSpace(width=4, layers=2, operations=["conv1", "lstm"])


def test_the_quietest_blocks_are_those_of_each_timer_alone():
    times = {"steady": iter([0.002] * 10_000), "noisy": iter([9.0] * 200 + [0.001] * 20_000)}
    lowest = quietest_blocks({name: each.__next__ for name, each in times.items()}, {"noisy": 100})
    assert lowest["steady"].p50_milliseconds == pytest.approx(2)
    assert lowest["noisy"].p50_milliseconds == pytest.approx(1)
    assert lowest["noisy"].p99_milliseconds == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("sequences", [0, 2])
def test_every_part_takes_time(sequences):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    features = features_of(a_schema(sequences=sequences))
    table = measured_table(parts_of(features, SPACE, []))
    assert torch.equal(torch.get_rng_state(), state)
    assert table.fixed > 0
    assert table.tail >= 1
    assert set(table.operations) == set(SPACE.operations)
    if not sequences:
        assert not any(table.operations.values())
        assert table.edge == 0
        return
    assert all(each > 0 for each in table.operations.values())
    space = space_of(features, SPACE).predicted(predicted_costs(table))
    picks = tuple(len(choice.options) - 1 for choice in space.choices)
    model = LightModel(features, space.decode_picks(picks))
    latency = measure_latency(model, export(model))
    print(f"p99 predicted {space.nanoseconds(picks) / 1e6:.3f} ms, measured {latency.p99_milliseconds:.3f} ms")
