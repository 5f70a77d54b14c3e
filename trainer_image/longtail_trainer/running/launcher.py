"""Several processes of one step on this node, started and watched by torchrun, whose PET_* variables say how many.

torchrun ends with 1 whatever happened. Here the exit code is that of the process that failed first: it says who must
act.
"""

import logging
import os
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from longtail_api.run_config import ExitCode
from longtail_api.store_objects import Termination
from longtail_trainer.running.ranks import RANK_LOST
from longtail_trainer.running.termination import termination_written, write_termination
from longtail_trainer.running.threads import THREAD_VARIABLES

log = logging.getLogger(__name__)

MEETING_SECONDS = 900
"""How long the nodes wait for each other: a scheduler may have to find room for the last one."""


def launch(arguments: Sequence[str], threads: int) -> int:
    """Run the command line in this node's processes, to their end; the exit code for all.

    threads: that they share.
    """
    settings = launch_config()
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, str(max(1, threads // settings.nproc_per_node)))
    try:
        elastic_launch(settings, sys.executable)("-m", "longtail_trainer", *arguments)
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        return _failed(rank, failure.exitcode)
    except SignalException:
        return ExitCode.TERMINATED
    except RuntimeError as error:  # torch's errors of meeting the others are of this type
        return _lost(f"the processes of other nodes can't be reached: {error}")
    return ExitCode.SUCCEEDED


def launch_config() -> LaunchConfig:
    """What torchrun would make of its PET_* variables: a fixed number of nodes, which meet at the first of them."""
    nodes = int(os.environ.get("PET_NNODES", "1"))
    address = os.environ.get("PET_MASTER_ADDR", "localhost")
    return LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=int(os.environ.get("PET_NPROC_PER_NODE", "1")),
        run_id="longtail",
        rdzv_backend="static",
        rdzv_endpoint=f"{address}:{os.environ.get('PET_MASTER_PORT', '29500')}",
        rdzv_configs={"rank": int(os.environ.get("PET_NODE_RANK", "0")), "timeout": MEETING_SECONDS},
        max_restarts=0,  # the Job starts all of them again, from the last resume point
    )


def _failed(rank: int, exit_code: int) -> int:
    """What the first failure comes to: the process has told why, unless it was killed."""
    if exit_code in set(ExitCode):
        return exit_code
    end = f"killed by signal {-exit_code}" if exit_code < 0 else f"ended with {exit_code}"
    return _lost(f"process {rank} of this step was {end}; it may need more memory than there is")


def _lost(message: str) -> int:
    log.error("%s: %s", RANK_LOST, message)
    if not termination_written():
        write_termination(Termination(status="Failed", reason=RANK_LOST, message=message))
    return ExitCode.RETRYABLE
