"""How many threads a step may use: what the container was given, not what the node has."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
"""Read by torch and polars when they are first imported."""


def quota(cgroup: Path = CGROUP) -> float | None:
    """CPUs the control group (v2, else v1) allows; None where it sets no limit."""
    version_2, version_1 = cgroup / "cpu.max", cgroup / "cpu" / "cpu.cfs_quota_us"
    if version_2.is_file():
        allowed, period = version_2.read_text().split()
        return None if allowed == "max" else int(allowed) / int(period)
    if version_1.is_file():
        allowed_us = int(version_1.read_text())
        period_us = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
        return None if allowed_us < 0 else allowed_us / period_us
    return None


def available_threads(cgroup: Path = CGROUP) -> int:
    """Threads worth starting: the CPUs this process may run on, and no more than its quota, rounded up."""
    processors = len(os.sched_getaffinity(0))
    limit = quota(cgroup)
    return processors if limit is None else max(1, min(processors, -int(-limit // 1)))
