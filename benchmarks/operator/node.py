"""The stub of a cluster: whatever Job appears has its pod at once, and has ended well after a second."""

import asyncio
import time

from benchmarks.operator.api_server import watch
from longtail_operator.kubernetes.kube import HttpKubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, section
from tests.operator.simulated_node import SimulatedNode

SECONDS_OF_A_JOB = 1.0


class PromptNode(SimulatedNode):
    """A simulated node that watches, so that what it costs follows what happens and not what there is."""

    def __init__(self, api: HttpKubeApi, namespace: str) -> None:
        super().__init__(api, namespace)
        self.first_jobs: dict[str, float] = {}
        """When the first Job of each owner was seen, by the owner's name; seconds of the monotonic clock."""

    async def run_for_ever(self) -> None:
        async with asyncio.TaskGroup() as lives:
            lives.create_task(self._follow_deployments())
            carried_out: set[str] = set()
            async for type_, job in watch("Job", self.namespace):
                uid = job["metadata"]["uid"]
                self.first_jobs.setdefault(job["metadata"]["ownerReferences"][0]["name"], time.monotonic())
                over = section(job, "status").get("conditions") or job["spec"].get("suspend")
                if type_ != "DELETED" and uid not in carried_out and not over:
                    carried_out.add(uid)
                    lives.create_task(self._live(job))

    async def _live(self, job: Json) -> None:
        name, role = job["metadata"]["name"], job["metadata"]["labels"]["longtail.dev/role"]
        pod = f"{name}-{job['metadata']['uid'][:5]}"
        try:
            await self._start(job, pod)
            await asyncio.sleep(SECONDS_OF_A_JOB)
            await self._finish(job, pod, role)
        except KubeError as error:
            # It was removed meanwhile.
            if error.status not in (404, 409):
                raise

    async def _follow_deployments(self) -> None:
        async for type_, deployment in watch("Deployment", self.namespace):
            if type_ != "DELETED":
                await self._roll_out(deployment)
