"""The generator: its truth is what its own files say, recomputed here from those files alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from benchmarks.datasets import synthetic
from benchmarks.datasets.__main__ import main
from benchmarks.datasets.synthetic import Options, parts
from benchmarks.datasets.tables import UTC_TIME
from longtail_api.data_schema import DataSchema

SMALL = Options(scenarios=5, clusters=2, tasks=3, events=4_000, rows=600, test_rows=200, min_rows=40, length=6)


def write(options: Options, out: Path) -> Path:
    out.mkdir()
    synthetic.generate(options, out)
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(SMALL, tmp_path_factory.mktemp("synthetic") / "out")


def truth_of(out: Path):
    return json.loads((out / "truth.json").read_text())


def test_the_schema_loads_and_the_tables_hold_its_columns(made: Path):
    schema = DataSchema.model_validate(yaml.safe_load((made / "schema.yaml").read_text()))
    samples = pl.read_parquet_schema(made / "samples.parquet")
    profile = pl.read_parquet_schema(made / "profile.parquet")
    events = pl.read_parquet_schema(made / "behaviors" / "events" / "part-00000.parquet")
    assert {"scenario", "entity", "time", "split", "slot", "price", "task_0", "task_1", "task_2"} == set(samples)
    assert {"entity", "time", *schema.profile.categorical, *schema.profile.numeric} == set(profile)
    assert {"entity", "time", *schema.behaviors[0].categorical, *schema.behaviors[0].numeric} == set(events)
    assert samples["time"] == profile["time"] == events["time"] == UTC_TIME
    assert schema.behaviors[0].max_length == SMALL.length


def test_there_are_as_many_rows_and_events_as_asked_for(made: Path):
    samples = pl.read_parquet(made / "samples.parquet")
    assert pl.read_parquet(made / "behaviors/events/*.parquet").height == SMALL.events
    for scenario in truth_of(made)["scenarios"]:
        own = samples.filter(pl.col("scenario") == scenario["name"])
        assert dict(own["split"].value_counts().rows()) == scenario["rows"]
        assert scenario["rows"]["test"] == SMALL.test_rows
    sizes = [scenario["rows"]["train"] for scenario in truth_of(made)["scenarios"]]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= SMALL.min_rows


def test_the_best_auc_is_that_of_the_true_probabilities(made: Path):
    probabilities = pl.read_parquet(made / "truth.parquet")
    for scenario in truth_of(made)["scenarios"]:
        own = probabilities.filter(pl.col("scenario") == scenario["name"])
        for label, best in scenario["bestAuc"].items():
            assert best == pytest.approx(roc_auc_score(own[label], own[f"probability_{label}"]), abs=1e-12)


def test_a_plain_join_of_the_files_gives_the_true_probabilities(made: Path):
    """The last events strictly before, the profile's latest state: what `prepare` promises, row by row."""
    truth = truth_of(made)
    weights = {scenario["name"]: scenario for scenario in truth["scenarios"]}
    regions = synthetic.truth(SMALL).region_effects
    events = pl.read_parquet(made / "behaviors/events/*.parquet").partition_by("entity", as_dict=True)
    profiles = pl.read_parquet(made / "profile.parquet").partition_by("entity", as_dict=True)
    keys = ["scenario", "entity", "time"]
    rows = pl.read_parquet(made / "truth.parquet").join(
        pl.read_parquet(made / "samples.parquet").select(*keys, "slot", "price"), on=keys
    )

    def effect(choices: tuple[str, ...], effects: np.ndarray, word: str | None) -> float:
        return 0.0 if word is None else float(effects[choices.index(word)])

    def history(before: list[dict[str, object]], decay: float, values: list[float]) -> float:
        last = values[::-1][: SMALL.length]
        scale = np.sqrt(sum(decay ** (2 * age) for age in range(SMALL.length)))
        return sum(value * decay**age for age, value in enumerate(last)) / scale

    for row in rows.sample(150, seed=1).to_dicts():
        table = events.get((row["entity"],))
        before = [] if table is None else [e for e in table.sort("time").to_dicts() if e["time"] < row["time"]]
        slow = history(before, 0.9, [effect(synthetic.KINDS, synthetic.KIND_VALUES, e["kind"]) for e in before])
        gains = [effect(synthetic.CHANNELS, synthetic.CHANNEL_GAINS, e["channel"]) for e in before]
        amounts = [e["amount"] or 0.0 for e in before]
        fast = history(before, 0.6, [gain * amount for gain, amount in zip(gains, amounts, strict=True)])
        state = [p for p in profiles[(row["entity"],)].sort("time").to_dicts() if p["time"] <= row["time"]][-1]
        age = 0.0 if state["age"] is None else 1.5 * np.tanh((state["age"] - 49) / 18)
        tenure = 0.0 if state["tenure_days"] is None else (np.log1p(state["tenure_days"]) - 6.415) / 0.8
        tier = effect(synthetic.TIERS, synthetic.TIER_EFFECTS, state["tier"])
        region = effect(synthetic.REGIONS, regions, state["region"])
        price = 0.0 if row["price"] is None else (np.log(row["price"]) - 3) / 0.5
        slot = effect(synthetic.SLOTS, synthetic.SLOT_EFFECTS, row["slot"])
        directions = np.array([slow, fast, age, tenure, tier, region, price, slot, slow * tenure, fast * tier])
        for label in truth["labels"]:
            own = weights[row["scenario"]]
            logit = own["offsets"][label] + truth["signal"] * directions @ np.array(own["weights"][label])
            assert row[f"probability_{label}"] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-9)


def test_the_relation_matrix_holds_in_every_scenario(made: Path):
    truth = truth_of(made)
    for scenario in truth["scenarios"]:
        vectors = np.array([scenario["weights"][label] for label in truth["labels"]])
        np.testing.assert_allclose(vectors @ vectors.T, truth["relation"], atol=1e-9)
    assert truth["relation"][0] == pytest.approx([1.0, 0.8, -0.6])


def test_scenarios_of_a_cluster_are_nearer_to_each_other_than_to_the_rest():
    known = synthetic.truth(Options(cluster_angle=0.5))
    cosines = known.weights[:, 0] @ known.weights[:, 0].T
    same = np.equal.outer(np.arange(12) % 3, np.arange(12) % 3)
    assert cosines[same].min() > cosines[~same].max()


def test_scenarios_of_a_cluster_share_more_entities(made: Path):
    samples = pl.read_parquet(made / "samples.parquet")
    people = [set(own["entity"]) for own in samples.sort("scenario").partition_by("scenario", maintain_order=True)]

    def overlap(a: int, b: int) -> float:
        return len(people[a] & people[b]) / len(people[a] | people[b])

    assert overlap(2, 4) > overlap(2, 3)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(made: Path, tmp_path: Path):
    again, other = write(SMALL, tmp_path / "again"), write(replace(SMALL, seed=1), tmp_path / "other")
    files = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    assert all((made / name).read_bytes() == (again / name).read_bytes() for name in files)
    assert (made / "samples.parquet").read_bytes() != (other / "samples.parquet").read_bytes()


def test_many_events_are_written_in_parts_that_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "PART_EVENTS", 1_000)
    out = write(SMALL, tmp_path / "out")
    names = sorted(path.name for path in (out / "behaviors/events").iterdir())
    assert names[:2] == ["part-00000.parquet", "part-00001.parquet"]
    events = pl.concat([pl.read_parquet(out / "behaviors/events" / name) for name in names])
    assert events.height == SMALL.events
    assert events.equals(events.sort("entity", "time"))
    assert not events.select("entity", "time").is_duplicated().any()
    rows = pl.read_parquet(out / "samples.parquet")
    assert rows.height == sum(sum(s["rows"].values()) for s in truth_of(out)["scenarios"])


def test_some_features_are_null_and_some_entities_have_no_events(made: Path):
    events = pl.read_parquet(made / "behaviors/events/*.parquet")
    profile = pl.read_parquet(made / "profile.parquet")
    assert all(events[name].null_count() for name in ("kind", "channel", "amount"))
    assert all(profile[name].null_count() for name in ("tier", "region", "age", "tenure_days"))
    assert profile["entity"].n_unique() > events["entity"].n_unique()


def test_an_auc_of_one_class_is_none():
    assert synthetic.auc(np.array([1, 1]), np.array([0.1, 0.2])) is None


def test_ties_count_half():
    assert synthetic.auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.1, 0.1, 0.9])) == 0.75


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "99"], "--tasks 99: give a value from 1 to 8"),
        (["--clusters", "9", "--scenarios", "3"], "--clusters 9: more than --scenarios 3"),
    ],
)
def test_options_out_of_bounds_are_named(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["synthetic", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_command_prints_one_line_per_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["--scenarios", "3", "--clusters", "2", "--rows", "90", "--min-rows", "20", "--events", "500"]
    assert main(["synthetic", str(tmp_path / "out"), "--test-rows", "50", *arguments]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        "scenario-0000",
        "scenario-0001",
        "scenario-0002",
    ]
