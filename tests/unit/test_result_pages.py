"""Pages that quote results: every claim of a file stands there as the file has it."""

import json
from pathlib import Path

import pytest

from benchmarks.claims_table import claims_table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results"
QUOTED = {
    "docs/alt.md": [
        "alt-oulad-lstm.json",
        "alt-oulad-transformer.json",
        "alt-oulad-initialization.json",
        "alt-oulad-batch-latency.json",
        "alt-oulad-fixed-lights.json",
        "alt-oulad-feedback-rate.json",
    ],
    "docs/samd.md": ["samd_swing.json"],
}


@pytest.mark.parametrize(("page", "result"), [(page, name) for page, names in QUOTED.items() for name in names])
def test_the_page_shows_every_claim_of_the_result(page: str, result: str):
    text = (ROOT / page).read_text()
    assert claims_table(RESULTS / result) in text
    assert f"benchmarks/results/{result}" in text


def test_a_claims_table_says_what_holds_what_does_not_and_what_had_no_target(tmp_path: Path):
    claims = [
        {"name": "a", "figure": 0.12345, "interval": [-0.1, 0.30001], "target": "≤ 1", "holds": True},
        {"name": "b", "figure": -0.00001, "interval": None, "target": "> 0", "holds": False},
        {"name": "c", "figure": 58, "interval": None, "target": None, "holds": None},
    ]
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"claims": claims}))
    assert claims_table(file).splitlines()[2:] == [
        "| a | 0.1235 | −0.1 … 0.3 | ≤ 1 | yes |",
        "| b | 0 |  | > 0 | no |",
        "| c | 58 |  |  |  |",
    ]
