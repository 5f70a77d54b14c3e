"""How many threads inference may use: what the container was given, not what the node has."""

import math
import os
from pathlib import Path

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available_threads(cpu_max: Path = CGROUP_CPU_MAX) -> int:
    """The CPUs this process may run on, and no more than its control group's quota (v2), rounded up."""
    processors = len(os.sched_getaffinity(0))
    if not cpu_max.is_file():
        return processors
    allowed, period = cpu_max.read_text().split()
    return processors if allowed == "max" else max(1, min(processors, math.ceil(int(allowed) / int(period))))
