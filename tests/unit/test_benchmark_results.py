"""Every benchmark writes what it found in one form; two results of the same folds can be held against each other."""

import argparse
import importlib
import json
import pkgutil
from pathlib import Path

import pytest

import benchmarks
from benchmarks.comparison import against
from benchmarks.comparison.results import Claim, exit_status, write_result

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_A_CLAIM = {
    "benchmarks.claims_table",
    "benchmarks.datasets.__main__",
    "benchmarks.training_speed.worker",
    "benchmarks.two_ranks.training",
}
"""Commands that show or make something else, or that another one calls."""


def commands() -> list[str]:
    """Modules of benchmarks/ that can be called."""
    found = pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    sources = {one.name: ROOT / f"{one.name.replace('.', '/')}.py" for one in found}
    return [name for name, file in sources.items() if file.exists() and "\nif __name__ ==" in file.read_text()]


@pytest.mark.parametrize("module", sorted(set(commands()) - WITHOUT_A_CLAIM))
def test_every_benchmark_takes_the_file_that_it_writes_its_claims_to(module: str):
    parser: argparse.ArgumentParser = importlib.import_module(module).parser()
    (option,) = [one for one in parser._actions if "--json" in one.option_strings]  # pyright: ignore[reportPrivateUsage]
    assert option.type is Path
    assert parser.prog == f"python -m {module.removesuffix('.__main__')}"


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks/results").glob("*.json")), ids=lambda file: file.name)
def test_every_committed_result_has_the_one_form(file: Path):
    content = json.loads(file.read_text())
    assert {"command", "seconds", "claims", "rows"} <= content.keys()
    assert all(claim.keys() == {"name", "figure", "interval", "target", "holds"} for claim in content["claims"])
    assert content["rows"]


def test_a_result_is_written_with_all_that_a_claim_has(tmp_path: Path):
    failed = Claim(name="b", figure=2, interval=(1, 3), target="< 2", holds=False)
    claims = [Claim(name="a", figure=1), failed]
    write_result(tmp_path / "new" / "x.json", "python -m it", 1.23456, claims, [{"row": 1}, {"row": 2}], {"also": 3})
    assert json.loads((tmp_path / "new" / "x.json").read_text()) == {
        "command": "python -m it",
        "seconds": 1.2,
        "claims": [
            {"name": "a", "figure": 1.0, "interval": None, "target": None, "holds": None},
            {"name": "b", "figure": 2.0, "interval": [1, 3], "target": "< 2", "holds": False},
        ],
        "also": 3,
        "rows": [{"row": 1}, {"row": 2}],
    }
    assert (exit_status(claims), exit_status(claims[:1])) == (1, 0)


def result(folder: Path, name: str, gain: float, test_rows: int = 100, encoders: tuple[str, ...] = ("LSTM",)) -> Path:
    """A comparison of three methods on four scenarios, two seeds; training MeL again moves it by .01, up or down."""
    rows = [
        {
            "seed": seed,
            "scenario": f"s{scenario}",
            "method": method,
            "encoder": encoder,
            "auc": 0.8 + gain + moved,
            "test_rows": test_rows,
        }
        for seed in range(2)
        for scenario in range(4)
        for encoder in encoders
        for method, moved in (("MeL", 0.0), ("MeL, other seed", 0.01 * (-1) ** seed), ("Ours", 0.0))
    ]
    file = folder / name
    file.write_text(json.dumps({"rows": rows}))
    return file


def held_against(folder: Path, gain: float, *arguments: str, **after: object) -> int:
    before, later = result(folder, "before.json", 0.0), result(folder, "after.json", gain, **after)  # type: ignore[arg-type]
    return against.main([str(before), str(later), "--json", str(folder / "x.json"), *arguments])


def test_a_method_may_fall_by_what_another_seed_makes_of_it_and_no_further(tmp_path: Path):
    assert held_against(tmp_path, -0.005) == 0
    assert held_against(tmp_path, -0.05) == 1
    written = json.loads((tmp_path / "x.json").read_text())
    holds = {claim["name"].partition(":")[0]: claim["holds"] for claim in written["claims"]}
    assert holds == {"MeL": False, "MeL, other seed": None, "Ours": None}
    assert written["command"] == "python -m benchmarks.comparison.against before.json after.json --json x.json"


def test_a_method_that_is_not_trained_again_can_have_the_noise_floor_of_another(tmp_path: Path):
    assert held_against(tmp_path, -0.05, "--noise", "Ours=MeL") == 1
    written = json.loads((tmp_path / "x.json").read_text())
    assert {claim["name"]: claim["holds"] for claim in written["claims"]}["Ours: after − before, AUC"] is False


def test_results_of_other_folds_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert held_against(tmp_path, 0.0, test_rows=101) == 2
    assert "s0, seed 0 has other test rows after than before" in capsys.readouterr().err


def test_of_several_rows_of_a_method_some_must_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert held_against(tmp_path, 0.0, encoders=("LSTM", "Transformer")) == 2
    assert "choose by --where" in capsys.readouterr().err
    assert held_against(tmp_path, 0.0, "--where", "encoder=LSTM", encoders=("LSTM", "Transformer")) == 0
