"""What a process uses, from /proc."""

import os
from pathlib import Path


def memory_mib(pid: int) -> float:
    """Resident now."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def cpu_seconds(pid: int) -> float:
    """Used so far, by all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
