"""One Scenario from its creation to a light model that serves, against a real API server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from longtail_operator.kubernetes.objects import Key, section
from longtail_store import Chain
from tests.operator.place import Place

pytestmark = pytest.mark.api
SERVING = {"serving": {"slo": {"p99Milliseconds": 20}}, "budget": {"maxFlops": "250k"}}


def play(place: Place, story: Callable[[Place], Awaitable[None]]) -> None:
    """Run a test's story in a namespace that lives as long as it."""

    async def whole() -> None:
        async with place.alive():
            await story(place)

    asyncio.run(whole())


async def arrange(place: Place) -> None:
    """A HeavyModel, one member of its pool, and a Scenario that serves."""
    await place.heavy_model()
    await place.scenario("pooled", {"pool": "yes"})
    await place.scenario("spring", **SERVING)


async def assert_done(place: Place) -> None:
    """The state that every way leads to."""
    await place.becomes("Scenario", "spring", "Ready", "True", "Serving")
    await place.becomes("Scenario", "pooled", "Ready", "True", "Contributing")
    await place.becomes("HeavyModel", "shared", "Ready", "True")

    async def folded() -> bool:
        status = section(await place.get("HeavyModel", "shared"), "status")
        return status["feedback"].get("folded") == 1 and status["version"]["number"] == 2

    await place.eventually(folded, "the feedback is folded into version 2", ("HeavyModel", "shared"))
    status = section(await place.get("Scenario", "spring"), "status")
    assert status["run"]["number"] == 1
    assert status["run"]["baseVersion"] == 1
    assert status["serving"]["stable"] == "v1"
    assert status["lineage"]["lightVersion"] == "v1"
    figures = {"auc": "0.7500", "logLoss": "0.4000", "calibrationError": "0.0200", "flops": 300}
    assert status["metrics"]["light"] | figures == status["metrics"]["light"]
    drawn = [one["name"] for one in status["pictures"]]
    assert drawn == [f"{step}-learning-curves" for step in ("adapt", "search", "train-light")]
    service = await place.get("Service", "spring")
    assert service["spec"]["selector"]["longtail.dev/version"] == "v1"
    assert await place.names("Deployment") == ["spring-v1"]
    version = await asyncio.to_thread(Chain(place.store).version, 1)
    assert [key.split("/")[1].split(".")[1] for key in version.pool] == ["pooled"]


def test_a_scenario_ends_in_a_light_model_that_serves(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await arrange(place)
        await assert_done(place)
        assert len(place.node.started) == len(set(place.node.started)), "a Job ran twice"
        # The pool's member is prepared and pooled, nothing more.
        assert not [name for name in place.node.started if name.startswith("pooled-adapt")]
        assert place.stop_operator() == 0

    play(place, story)


@pytest.mark.parametrize("moment", ["initialize", "adapt", "check"])
def test_a_killed_operator_carries_on_to_the_same_end(place: Place, moment: str) -> None:
    async def story(place: Place) -> None:
        place.node.hold = lambda role, name: role == moment

        async def reached() -> bool:
            return any(moment in name for name in place.node.started)

        place.start_operator()
        await arrange(place)
        await place.eventually(reached, f"a Job of {moment} runs", ("Scenario", "spring"))
        place.kill_operator()
        place.node.hold = lambda role, name: False
        place.start_operator()
        await assert_done(place)
        assert len(place.node.started) == len(set(place.node.started)), "a Job ran twice"

    play(place, story)


def test_two_operators_at_once_come_to_the_same_end(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        first = place.operator
        place.start_operator()
        try:
            await arrange(place)
            await assert_done(place)
        finally:
            assert first is not None
            first.kill()
            first.wait()
        assert len(place.node.started) == len(set(place.node.started)), "a Job ran twice"

    play(place, story)


def test_an_edited_or_removed_child_is_put_right(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await arrange(place)
        await assert_done(place)
        service = Key("Service", place.namespace, "spring")
        await place.api.merge(service, {"spec": {"selector": {"longtail.dev/version": "v9"}}})
        deployment = await place.get("Deployment", "spring-v1")
        await place.api.delete(Key("Deployment", place.namespace, "spring-v1"), deployment["metadata"]["uid"])

        async def right() -> bool:
            found = await place.get("Service", "spring")
            return section(found, "spec", "selector").get("longtail.dev/version") == "v1" and await place.names(
                "Deployment"
            ) == ["spring-v1"]

        await place.eventually(right, "Service and Deployment are as they were", ("Scenario", "spring"))

    play(place, story)


def test_a_child_that_was_orphaned_is_adopted_again(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await arrange(place)
        await assert_done(place)
        service = Key("Service", place.namespace, "spring")
        await place.api.merge(service, {"metadata": {"ownerReferences": None, "labels": None}})

        async def adopted() -> bool:
            metadata = (await place.get("Service", "spring"))["metadata"]
            return bool(metadata.get("ownerReferences")) and "longtail.dev/scenario" in metadata.get("labels", {})

        await place.eventually(adopted, "the Service has its owner and its labels", ("Scenario", "spring"))

    play(place, story)


def test_a_job_that_was_deleted_runs_again(place: Place) -> None:
    async def story(place: Place) -> None:
        place.node.hold = lambda role, name: role == "adapt"
        place.start_operator()
        await arrange(place)

        async def adapting() -> bool:
            return any("spring-adapt" in name for name in place.node.started)

        await place.eventually(adapting, "adapt runs", ("Scenario", "spring"))
        name = next(name for name in place.node.started if "spring-adapt" in name)
        job = await place.get("Job", name)
        await place.api.delete(Key("Job", place.namespace, name), job["metadata"]["uid"])

        async def again() -> bool:
            return place.node.started.count(name) == 2

        await place.eventually(again, "the Job runs again, by the same name", ("Scenario", "spring"))
        place.node.hold = lambda role, name: False
        await assert_done(place)

    play(place, story)


def test_a_finished_job_that_its_time_to_live_removed_is_not_run_again(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await arrange(place)
        await assert_done(place)
        for job in await place.api.list("Job", place.namespace):
            await place.api.delete(Key("Job", place.namespace, job["metadata"]["name"]), job["metadata"]["uid"])
        before = list(place.node.started)
        # A change that has the operator look at everything again.
        await place.api.merge(Key("Scenario", place.namespace, "spring"), {"metadata": {"labels": {"looked": "again"}}})
        place.kill_operator()
        place.start_operator()
        await asyncio.sleep(3)
        await assert_done(place)
        assert place.node.started == before

    play(place, story)


def test_a_status_that_was_lost_with_all_children_is_followed_by_the_next_run_and_its_feedback_counts(
    place: Place,
) -> None:
    async def story(place: Place) -> None:
        def folded(count: int) -> Callable[[], Awaitable[bool]]:
            async def holds() -> bool:
                return section(await place.get("HeavyModel", "shared"), "status", "feedback").get("folded") == count

            return holds

        place.start_operator()
        await place.heavy_model()
        await place.scenario("pooled", {"pool": "yes"})
        await place.scenario("late")
        await place.becomes("Scenario", "late", "Ready", "True", "Contributing")
        await place.eventually(folded(1), "run 1 is folded", ("HeavyModel", "shared"))
        place.stop_operator()
        for kind in ("Job", "ConfigMap"):
            for item in await place.api.list(kind, place.namespace, "longtail.dev/scenario=late"):
                await place.api.delete(Key(kind, place.namespace, item["metadata"]["name"]), item["metadata"]["uid"])
        path = f"/apis/longtail.dev/v1alpha1/namespaces/{place.namespace}/scenarios/late/status"
        await place.api.request("PATCH", path, {}, {"status": None}, "application/merge-patch+json")
        assert not section(await place.get("Scenario", "late"), "status")
        place.start_operator()
        await place.becomes("Scenario", "late", "Ready", "True", "Contributing")
        assert section(await place.get("Scenario", "late"), "status", "run")["number"] == 2
        await place.eventually(folded(2), "run 2 is folded, too", ("HeavyModel", "shared"))

    play(place, story)


@pytest.mark.parametrize("late", [False, True], ids=["words first", "Job first"])
def test_a_failed_step_says_the_containers_own_words(place: Place, late: bool) -> None:
    async def story(place: Place) -> None:
        place.node.late_words = late
        said = '{"status": "Failed", "reason": "DataInvalid", "message": "samples: column \'price\' is missing"}'
        place.node.ends["prepare"] = (65, said)
        place.start_operator()
        await place.heavy_model()
        await place.scenario("spring", **SERVING)
        message = await place.becomes("Scenario", "spring", "Failed", "True", "DataInvalid")
        assert message == "prepare: samples: column 'price' is missing"
        await place.becomes("Scenario", "spring", "Ready", "False", "DataInvalid")
        place.node.ends.clear()
        await place.api.merge(Key("Scenario", place.namespace, "spring"), {"metadata": {"labels": {"pool": "yes"}}})
        await place.api.merge(
            Key("Scenario", place.namespace, "spring"), {"spec": {"data": {"samples": "s3://warehouse/mended"}}}
        )
        await place.becomes("Scenario", "spring", "Ready", "True")
        assert section(await place.get("Scenario", "spring"), "status", "run")["number"] == 2

    play(place, story)


def test_the_schedulers_words_turn_up_in_a_condition(place: Place) -> None:
    async def story(place: Place) -> None:
        place.node.unschedulable = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
        place.start_operator()
        await place.heavy_model()
        await place.scenario("spring", trainer={"resources": {"limits": {"nvidia.com/gpu": 1}}})
        message = await place.becomes("Scenario", "spring", "Ready", "False", "Unschedulable")
        assert "0/1 nodes are available: 1 Insufficient nvidia.com/gpu." in message

    play(place, story)


def test_a_failed_check_keeps_the_stable_version(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await arrange(place)
        await assert_done(place)
        report = '{"verdict": "Failed", "reason": "SLOCheckFailed", "message": "p99 41 ms > 20 ms", "candidate": "v2"}'
        place.node.ends["check"] = (0, report)
        await place.api.merge(Key("Scenario", place.namespace, "spring"), {"spec": {"budget": {"maxFlops": "100k"}}})
        message = await place.becomes("Scenario", "spring", "RolledOut", "False", "SLOCheckFailed")
        assert "p99 41 ms > 20 ms" in message
        assert "v1 goes on serving" in message

        async def alone() -> bool:
            return await place.names("Deployment") == ["spring-v1"]

        await place.eventually(alone, "the refused candidate is removed", ("Scenario", "spring"))
        assert (await place.get("Service", "spring"))["spec"]["selector"]["longtail.dev/version"] == "v1"

    play(place, story)


def test_what_serves_changes_its_form_only_after_a_check(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await arrange(place)
        await assert_done(place)
        before = await place.get("Deployment", "spring-v1")
        report = '{"verdict": "Failed", "reason": "SLOCheckFailed", "message": "p99 41 ms > 20 ms", "candidate": "v1"}'
        place.node.ends["check"] = (0, report)
        key = Key("Scenario", place.namespace, "spring")
        await place.api.merge(key, {"spec": {"serving": {"resources": {"limits": {"cpu": "20m"}}}}})
        message = await place.becomes("Scenario", "spring", "RolledOut", "False", "SLOCheckFailed")
        assert "v1 with other serving.resources was refused: p99 41 ms > 20 ms" in message

        async def alone() -> bool:
            return await place.names("Deployment") == ["spring-v1"]

        await place.eventually(alone, "the refused form is removed", ("Scenario", "spring"))
        after = await place.get("Deployment", "spring-v1")
        assert after["spec"] == before["spec"]
        place.node.ends.clear()
        await place.api.merge(key, {"spec": {"serving": {"resources": {"limits": {"cpu": "2"}}}}})

        async def turned() -> bool:
            names = await place.names("Deployment")
            return len(names) == 1 and names != ["spring-v1"]

        await place.eventually(turned, "the new form serves alone", ("Scenario", "spring"))
        (name,) = await place.names("Deployment")
        selector = (await place.get("Service", "spring"))["spec"]["selector"]
        assert name == f"spring-{selector['longtail.dev/version']}"

    play(place, story)


def test_a_name_that_somebody_else_has_taken_is_left_alone(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await place.api.create(
            {
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "spring", "namespace": place.namespace},
                "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
            }
        )  # fmt: skip
        await arrange(place)
        message = await place.becomes("Scenario", "spring", "Ready", "False", "InvalidSpec")
        assert "Service spring exists" in message
        assert (await place.get("Service", "spring"))["spec"]["selector"] == {"app": "theirs"}

    play(place, story)
