"""What is told of the scenarios beside their rows: names, attributes, the schema."""

import numpy as np

from benchmarks.datasets.synthetic.options import Options
from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn, SplitRule

SURFACES = ("home", "checkout", "search", "message")
TOLD_SHARE = 0.85


def scenario_keys(options: Options) -> list[str]:
    return [f"scenario-{i:04d}" for i in range(options.scenarios)]


def attributes(options: Options) -> dict[str, dict[str, str]]:
    random = np.random.default_rng([options.seed, 4])
    told = random.random(options.scenarios) < TOLD_SHARE
    guess = random.integers(options.clusters, size=options.scenarios)
    surface = random.integers(len(SURFACES), size=options.scenarios)
    return {
        key: {
            "market": f"market-{i % options.clusters if told[i] else guess[i]}",
            "surface": SURFACES[surface[i]],
        }
        for i, key in enumerate(scenario_keys(options))
    }


def schema(options: Options) -> DataSchema:
    return DataSchema(
        labels=[LabelColumn(name=label) for label in options.labels],
        context=FeatureColumns(categorical=["slot"], numeric=["price"]),
        profile=FeatureColumns(categorical=["tier", "region"], numeric=["age", "tenure_days"]),
        behaviors=[
            BehaviorSequence(
                name="events", categorical=["kind", "channel"], numeric=["amount"], max_length=options.length
            )
        ],
        split=SplitRule(method="column"),
    )
