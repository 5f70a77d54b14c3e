"""Fields of a child that others own, as a real API server has them: a queue's Jobs, the number of pods."""

import asyncio

import pytest

from longtail_operator.kubernetes.kube import MERGE
from longtail_operator.kubernetes.objects import Json, Key, section
from tests.operator.place import Place
from tests.operator.test_main_job import SERVING, play

pytestmark = pytest.mark.api
SEVERAL_LOOKS = 5.0
"""Seconds; the operator of these tests looks at everything every two."""


class Queue:
    """Stands for Kueue: lets one Job after another go, and takes it back."""

    def __init__(self, place: Place) -> None:
        self.place = place

    async def jobs(self) -> list[Json]:
        return await self.place.api.list("Job", self.place.namespace)

    async def suspends(self, job: Json, suspended: bool) -> None:
        name = job["metadata"]["name"]
        path = f"/apis/batch/v1/namespaces/{self.place.namespace}/jobs/{name}"
        await self.place.api.request("PATCH", path, {}, {"spec": {"suspend": suspended}}, MERGE)

    async def admits_all(self) -> None:
        while True:
            for job in await self.jobs():
                if job["spec"].get("suspend"):
                    await self.suspends(job, False)
            await asyncio.sleep(0.1)


def test_a_queued_job_runs_when_its_queue_admits_it_and_not_before(place: Place) -> None:
    async def story(place: Place) -> None:
        queue = Queue(place)
        place.node.hold = lambda role, name: role == "prepare"
        place.start_operator()
        await place.heavy_model(trainer={"queueName": "team-a"})
        await place.scenario("pooled", {"pool": "yes"})
        message = await place.becomes("Scenario", "pooled", "DataPrepared", "False", "Queued")
        assert "queue team-a" in message
        await asyncio.sleep(SEVERAL_LOOKS)
        [job] = await queue.jobs()
        assert place.node.started == []
        await queue.suspends(job, False)
        await place.becomes("Scenario", "pooled", "DataPrepared", "False", "Running")
        await queue.suspends(job, True)
        await place.becomes("Scenario", "pooled", "DataPrepared", "False", "Queued")
        await asyncio.sleep(SEVERAL_LOOKS)
        preempted = await place.api.get(Key("Job", place.namespace, job["metadata"]["name"]))
        assert preempted is not None
        assert preempted["spec"]["suspend"] is True
        place.node.hold = lambda role, name: False
        admission = asyncio.create_task(queue.admits_all())
        await place.becomes("Scenario", "pooled", "Ready", "True", "Contributing")
        admission.cancel()

    play(place, story)


def test_the_number_of_pods_is_whoevers_who_set_it_until_the_spec_asks_for_another(place: Place) -> None:
    async def story(place: Place) -> None:
        apps = f"/apis/apps/v1/namespaces/{place.namespace}/deployments/spring-v1"

        async def replicas() -> int:
            return section(await place.get("Deployment", "spring-v1"), "spec")["replicas"]

        place.start_operator()
        await place.heavy_model()
        await place.scenario("pooled", {"pool": "yes"})
        await place.scenario("spring", **SERVING)
        await place.becomes("Scenario", "spring", "Ready", "True", "Serving")
        await place.api.request("PATCH", f"{apps}/scale", {}, {"spec": {"replicas": 3}}, MERGE)
        await asyncio.sleep(SEVERAL_LOOKS)
        assert await replicas() == 3
        several = {"minReplicas": 4, "maxReplicas": 6, "resources": {"requests": {"cpu": "100m"}}}
        await place.api.merge(Key("Scenario", place.namespace, "spring"), {"spec": {"serving": several}})

        async def follows() -> bool:
            return await replicas() == 4 and await place.names("HorizontalPodAutoscaler") == ["spring"]

        await place.eventually(follows, "a new minimum is taken over, and an autoscaler comes", ("Scenario", "spring"))
        await place.becomes("Scenario", "spring", "Ready", "True", "Serving")

    play(place, story)
