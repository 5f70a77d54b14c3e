"""The benchmark of training speed: that loops train the same module, and what is claimed of their speeds."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.training_speed.__main__ import claims, main
from benchmarks.training_speed.loops import BARE, LOOPS, OURS
from benchmarks.training_speed.rows import Rows


def loss_of(name: str, epochs: int) -> float:
    """After so many epochs on the same 600 rows."""
    torch.manual_seed(0)
    rows = Rows.drawn(600, seed=0)
    loop = LOOPS[name](rows, 32)
    for _ in range(epochs):
        loop.epoch()
    with torch.no_grad():
        logits = loop.module(rows.categorical, rows.numeric, rows.events, rows.lengths)
        return float(nn.functional.binary_cross_entropy_with_logits(logits, rows.label))


def test_our_loop_and_the_bare_one_start_from_the_same_weights_and_learn_alike():
    before, after = ({name: loss_of(name, epochs) for name in (OURS, BARE)} for epochs in (0, 3))
    assert before[OURS] == before[BARE]
    assert after[OURS] < before[OURS] - 0.005
    assert after[OURS] == pytest.approx(after[BARE], abs=0.01)


def holds(**speeds: float) -> dict[str, bool | None]:
    """Of claims on loops of these speeds, five rounds alike."""
    names = {"ours": OURS, "bare": BARE, "peer": "FuxiCTR"}
    rows: list[dict[str, Any]] = [
        {"loop": names[name], "round": number, "samplesPerSecond": speed}
        for name, speed in speeds.items()
        for number in range(5)
    ]
    return {claim.name: claim.holds for claim in claims(rows)}


def test_twice_the_speed_of_another_library_is_asked_for():
    name = "samples a second, ours ÷ FuxiCTR"
    assert holds(ours=200, bare=400, peer=100)[name]
    assert not holds(ours=190, bare=400, peer=100)[name]


def test_where_another_library_is_near_the_bare_loop_ours_must_be_nearer():
    name = "samples a second, ours ÷ FuxiCTR"
    assert holds(ours=91, bare=100, peer=60)[name]
    assert not holds(ours=89, bare=100, peer=60)[name]
    assert not holds(ours=89, bare=100, peer=45)[name], "then twice its speed is asked for"


def test_what_is_not_there_is_not_claimed():
    assert holds(ours=90, bare=100) == {"samples a second, ours ÷ bare torch": None}


@pytest.mark.slow
def test_loops_take_turns_in_processes_of_their_own(capsys: pytest.CaptureFixture[str]):
    assert main(["--samples", "200", "--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    assert "FuxiCTR is left out" in printed
    assert "ours ÷ bare torch" in printed
