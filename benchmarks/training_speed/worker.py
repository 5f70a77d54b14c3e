"""One loop in a process of its own: an epoch for each line on stdin, its seconds and the loss after it on stdout."""

import sys
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.training_speed.loops import LOOPS, silent
from benchmarks.training_speed.rows import Rows


def main() -> None:
    name, file, batch_size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    rows = Rows.load(file)
    with silent():
        loop = LOOPS[name](rows, batch_size)
    print("ready", flush=True)
    for _ in sys.stdin:
        with silent():
            started = time.perf_counter()
            loop.epoch()
            seconds = time.perf_counter() - started
        with torch.no_grad():
            logits = loop.module(rows.categorical, rows.numeric, rows.events, rows.lengths)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, rows.label)
        print(f"{seconds} {float(loss)}", flush=True)


if __name__ == "__main__":
    main()
