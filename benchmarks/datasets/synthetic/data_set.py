"""The whole data set: all tables and its truth, part by part."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.datasets.synthetic.events import events_of
from benchmarks.datasets.synthetic.known_truth import truth
from benchmarks.datasets.synthetic.options import Options
from benchmarks.datasets.synthetic.parts import parts
from benchmarks.datasets.synthetic.profiles import profiles_of
from benchmarks.datasets.synthetic.sample_rows import rows
from benchmarks.datasets.synthetic.samples import samples_of
from benchmarks.datasets.synthetic.scenarios import attributes, schema
from benchmarks.datasets.synthetic.truth_file import write_truth
from benchmarks.datasets.tables import (
    BEHAVIORS,
    PROFILE,
    SAMPLES,
    TRUE_PROBABILITIES,
    Tables,
    check_tables,
    write_schema,
)

ATTRIBUTES = "attributes.json"
"""What is told of each scenario, by its key; a market may be the wrong one."""


def generate(options: Options, out: Path) -> pl.DataFrame:
    """Write the data set and its truth into the folder `out`; returns one row per scenario, as `truth.json` has it."""
    known = truth(options)
    all_rows = rows(options)
    made = schema(options)
    folder = out / BEHAVIORS / "events"
    folder.mkdir(parents=True)
    samples: list[pl.DataFrame] = []
    profile: list[pl.DataFrame] = []
    for part in parts(options):
        random = np.random.default_rng([options.seed, 5, part.number])
        events = events_of(part, random)
        profiles = profiles_of(part, random, known.region_effects)
        chosen = all_rows.of_entities(part.first, part.last)
        samples.append(samples_of(options, part, chosen, events, profiles, known, random))
        profile.append(profiles.table)
        if part.number == 0:
            check_tables(Tables(made, samples[0], profile[0], {"events": events.table}))
        events.table.write_parquet(folder / f"part-{part.number:05d}.parquet")
    pl.concat(profile).write_parquet(out / PROFILE)
    labelled = pl.concat(samples).sort("scenario", "time", "entity", maintain_order=True)
    true = [f"true:{label}" for label in options.labels]
    labelled.drop(true).write_parquet(out / SAMPLES)
    tested = labelled.filter(pl.col("split") == "test")
    tested.select("scenario", "entity", "time", *options.labels, *true).rename(
        {column: column.replace("true:", "probability_") for column in true}
    ).write_parquet(out / TRUE_PROBABILITIES)
    write_schema(made, out)
    Path(out, ATTRIBUTES).write_text(json.dumps(attributes(options), indent=1) + "\n")
    return write_truth(options, known, labelled, tested, out)
