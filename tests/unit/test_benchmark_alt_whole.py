"""The comparison of ALT's methods as a command: wrong data sets, and, slow, the whole of it on tiny tables."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import yaml

from benchmarks.alt.__main__ import main
from benchmarks.alt.experiments import batch_latency, feedback_rate, fixed_lights
from benchmarks.alt.methods import (
    FINAL,
    PREDEFINED,
    SEARCHED,
)  # fmt: skip
from longtail_api.data_schema import DataSchema
from tests.trainer import tiny

ROOT = Path(__file__).resolve().parents[2]


def tiny_dataset(folder: Path, flipped: bool = False) -> Path:
    """Three tiny scenarios with a split of their own; `flipped`: labels of test rows, and of these alone, negated."""
    schema = tiny.write_tables(folder, scenarios=3, rows=160)
    path = folder / "samples.parquet"
    table = pl.read_parquet(path)
    words = np.random.default_rng(0).choice(["train", "validation", "test"], len(table), p=[0.6, 0.15, 0.25])
    table = table.with_columns(pl.Series("split", words, dtype=pl.String))
    if flipped:
        clicked = pl.col("clicked")
        table = table.with_columns(
            pl.when(pl.col("split") == "test").then(1 - clicked).otherwise(clicked).alias("clicked")
        )
    table.write_parquet(path)
    content = {**schema.to_json_dict(), "split": {"method": "column"}}
    (folder / "schema.yaml").write_text(yaml.safe_dump(DataSchema.model_validate(content).to_json_dict()))
    return folder


def test_a_wrong_data_set_is_refused_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--dataset", str(tmp_path)]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["--dataset", str(tiny_dataset(tmp_path / "data")), "--initial", "9"]) == 2
    assert "3 scenarios" in capsys.readouterr().err


@pytest.mark.parametrize("experiment", [batch_latency, feedback_rate, fixed_lights])
def test_an_experiment_refuses_what_is_no_data_set_and_no_encoder(
    experiment: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    option = "--encoders" if experiment is batch_latency else "--encoder"
    assert experiment.main(["--dataset", str(tmp_path)]) == 2
    assert "no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        experiment.main(["--dataset", str(tmp_path), option, "gru"])
    assert f"{option}: no gru; choose of LSTM, Transformer" in capsys.readouterr().err


def quick(folder: Path, data: Path) -> dict[str, object]:
    arguments = ["--dataset", str(data), "--quick", "--json", str(folder / "out.json"), "--out", str(folder / "out")]
    assert main(arguments) == 0
    return json.loads((folder / "out.json").read_text())


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once")  # with test labels negated, weights that are alike; others are traced anew
@pytest.mark.timeout(1200)  # minutes of work; shared machines make more of it
def test_test_rows_change_nothing_but_the_figures_and_a_second_run_does_nothing_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """With every test label negated, the same models must score exactly 1 − AUC: nothing else may have seen them."""
    for module in ("benchmarks.alt.__main__", "benchmarks.alt.experiments"):
        monkeypatch.setattr(f"{module}.source_hash", lambda sources: "this test")  # however the source is edited
    result = quick(tmp_path / "a", tiny_dataset(tmp_path / "data"))
    printed = capsys.readouterr()
    assert "Claims" in printed.out
    assert "Failed" not in printed.out
    assert "light, seed 0, LSTM, initial 2, s0, Ours" in printed.err
    assert {"command", "seconds", "claims", "rows"} <= set(result)
    assert all({"name", "figure", "interval", "target", "holds"} == set(claim) for claim in result["claims"])
    assert len(list((tmp_path / "a" / "out" / "plots").glob("*.png"))) >= 3

    again = quick(tmp_path / "a", tmp_path / "data")
    assert again["rows"] == result["rows"]
    assert "seed 0" not in capsys.readouterr().err

    flipped = quick(tmp_path / "b", tiny_dataset(tmp_path / "flipped", flipped=True))
    identity = ("seed", "scenario", "method", "encoder", "initial", "folding")
    mine, theirs = (
        {tuple(line.get(name) for name in identity): line for line in content["rows"]} for content in (result, flipped)
    )
    assert mine.keys() == theirs.keys()
    assert {line["method"] for line in mine.values()} >= {
        "SinH",
        "MeH",
        "MeL",
        "Ours",
        "Profile only",
        "Boosting, all rows",
        "Boosting, target statistics",
        "MeH, other seed",
        "MeL, other seed",
    }
    for key, line in mine.items():
        assert theirs[key]["auc"] == pytest.approx(1 - line["auc"], abs=2e-6), key
        assert theirs[key].get("architecture") == line.get("architecture"), key

    experiments(tmp_path / "data", tmp_path / "a" / "out", tmp_path / "experiment.json")


def experiments(data: Path, out: Path, file: Path) -> None:
    """They find what the comparison left, and say so where it left nothing."""
    common = ["--dataset", str(data), "--quick", "--json", str(file)]
    targets = ["--targets", str(ROOT / "benchmarks/alt/targets/oulad.yaml")]
    assert batch_latency.main([*common, "--out", str(out), "--encoders", "lstm", "--batches", "1,4", *targets]) == 0
    measured = json.loads(file.read_text())
    assert len(measured["rows"]) == 3 * 2 * 4, "scenarios, batches, graphs"
    assert [claim["target"] for claim in measured["claims"]] == ["≤ 0.31", None, None, None]
    assert measured["command"].startswith("python -m benchmarks.alt.experiments.batch_latency --dataset data ")

    assert fixed_lights.main([*common, "--out", str(out), "--seeds", "1"]) == 0
    methods = [line["method"] for line in json.loads(file.read_text())["rows"]]
    assert {name: methods.count(name) for name in methods} == dict.fromkeys(
        [PREDEFINED, SEARCHED, *fixed_lights.CASCADES], 3
    )
    assert fixed_lights.main([*common, "--out", str(out / "nothing"), "--seeds", "1"]) == 1

    assert feedback_rate.main([*common, "--out", str(out), "--seeds", "1", "--rates", "0.01,100"]) == 0
    means = {line["rate"]: line["auc"] for line in json.loads(file.read_text())["rows"] if line["method"] == FINAL}
    assert means.keys() == {0.01, 100.0}, "the comparison's own, without its ablation, and one more"
    assert means[0.01] != means[100.0]
