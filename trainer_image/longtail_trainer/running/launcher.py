"""Several processes of one step on this node, started and watched by torchrun, whose PET_* variables say how many.

torchrun ends with 1 whatever happened. Here the exit code is that of the process that failed first: it says who must
act.
"""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch.distributed.elastic.agent.server.api import RunResult, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from longtail_api.run_config import ExitCode
from longtail_api.store_objects import Termination
from longtail_trainer.running.ranks import RANK_LOST
from longtail_trainer.running.termination import termination_written, write_termination
from longtail_trainer.running.threads import THREAD_VARIABLES

log = logging.getLogger(__name__)

MEETING_SECONDS = 900
"""How long the nodes wait for each other: a scheduler may have to find room for the last one."""
PARTING_SECONDS = 10
"""How long a node that is done waits for the others. They have agreed on the end by then, so who isn't there is lost,
and comes back to a step that is finished. torch's own agent would wait for five minutes."""


def launch(arguments: Sequence[str], threads: int) -> int:
    """Run the command line in this node's processes, to their end; the exit code for all.

    threads: that they share.
    """
    nodes = Nodes.of_environment()
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, str(max(1, threads // nodes.processes_per_node)))
    try:
        result = cast(RunResult, _agent(nodes, arguments).run())
    except SignalException:
        return ExitCode.TERMINATED
    except RuntimeError as error:  # torch's errors of meeting the others are of this type
        return _lost(f"the processes of other nodes can't be reached: {error}")
    if result.is_failed():
        rank, failure = ChildFailedError("longtail_trainer", result.failures).get_first_failure()
        return _failed(rank, failure.exitcode)
    return ExitCode.SUCCEEDED


@dataclass(frozen=True)
class Nodes:
    """A fixed number of nodes, which meet at the first of them."""

    count: int
    processes_per_node: int
    rank: int
    """Of this one among them."""
    address: str
    port: int

    @staticmethod
    def of_environment() -> "Nodes":
        """What torchrun would make of its PET_* variables."""
        return Nodes(
            count=int(os.environ.get("PET_NNODES", "1")),
            processes_per_node=int(os.environ.get("PET_NPROC_PER_NODE", "1")),
            rank=int(os.environ.get("PET_NODE_RANK", "0")),
            address=os.environ.get("PET_MASTER_ADDR", "localhost"),
            port=int(os.environ.get("PET_MASTER_PORT", "29500")),
        )


def _agent(nodes: Nodes, arguments: Sequence[str]) -> LocalElasticAgent:
    """What starts and watches this node's processes."""
    meeting = RendezvousParameters(
        backend="static",
        endpoint=f"{nodes.address}:{nodes.port}",
        run_id="longtail",
        min_nodes=nodes.count,
        max_nodes=nodes.count,
        rank=nodes.rank,
        timeout=MEETING_SECONDS,
    )
    spec = WorkerSpec(
        role="trainer",
        local_world_size=nodes.processes_per_node,
        entrypoint=sys.executable,
        args=("-m", "longtail_trainer", *arguments),
        rdzv_handler=get_rendezvous_handler(meeting),
        max_restarts=0,  # the Job starts all of them again, from the last resume point
        master_addr=nodes.address,
        master_port=nodes.port,
    )
    return LocalElasticAgent(spec, DefaultLogsSpecs(), exit_barrier_timeout=PARTING_SECONDS)


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
