"""Whether a Scenario does what its spec asks, now, and what serves whatever becomes of the rest."""

from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import VERSION_LABEL
from longtail_api.scenario import RunStatus, ScenarioStatus
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.objects import Json, labels_of, section
from longtail_operator.scenario.world import ScenarioWorld
from longtail_operator.serving.candidate import Rollout
from longtail_operator.serving.objects import answers, is_available, not_answering
from longtail_operator.stores.run_numbers import light_version

READY, FAILED, SUSPENDED = ConditionType.READY, ConditionType.FAILED, ConditionType.SUSPENDED


def goes_on(world: ScenarioWorld, now: datetime) -> str:
    """What serves although nothing new can: by the Service alone, whatever the status says."""
    service = world.find("Service", world.base)
    revision = section(service or {}, "spec", "selector").get(VERSION_LABEL, "")
    found = world.find("Deployment", f"{world.base}-{revision}")
    if found is None:
        return ""
    version = str(labels_of(found).get(VERSION_LABEL, revision))
    if answers(found):
        return f"; {version} goes on serving"
    pods = [pod for pod in world.pods if labels_of(pod).get(VERSION_LABEL) == revision]
    return f"; {_silence(world, version, found, pods, now)}"


def _silence(world: ScenarioWorld, version: str, found: Json | None, pods: list[Json], now: datetime) -> str:
    why = not_answering(found, pods, now, world.said.heard)
    return f"no pod of {version} answers" + (f": {why.message}" if why else "")


def _failing_renewal(run: RunStatus, status: ScenarioStatus, conditions: Conditions) -> str:
    """What a person should know although the model of an earlier run serves: that the newest one came to nothing."""
    failed, rolled_out = conditions.current(FAILED), conditions.current(ConditionType.ROLLED_OUT)
    if run.outcome == "Failed" and failed is not None:
        return f"; run {run.number} failed, {failed.message}"
    refused = status.serving.refused == light_version(run.number) or status.serving.form.refused is not None
    if refused and rolled_out is not None and rolled_out.status == "False":
        return f"; {rolled_out.message}"
    return ""


def judge_readiness(
    world: ScenarioWorld, rollout: Rollout | None, status: ScenarioStatus, conditions: Conditions, now: datetime
) -> None:
    """Ready: it does what its spec asks, now. While a refresh works or fails, what serves still does that."""
    run, serving = status.run, status.serving
    failed = conditions.current(FAILED)
    if run is None:
        reason = Reason.SUSPENDED if world.spec.suspend else Reason.PENDING
        conditions.set(READY, False, reason, "no run yet")
        return
    rolled_out, pinned = conditions.current(ConditionType.ROLLED_OUT), rollout and rollout.serving.pinned_version
    if rolled_out is not None and rolled_out.status == "False" and pinned not in (None, serving.stable):
        conditions.set(READY, False, rolled_out.reason, rolled_out.message + goes_on(world, now))
        return
    refresh = run.trigger in ("Schedule", "DataSchedule", "Annotation")
    if rollout is None:
        if run.outcome == "Succeeded" or (refresh and run.outcome is None):
            conditions.set(READY, True, Reason.CONTRIBUTING, "it contributes its data and feedback")
            return
    elif rollout.stable is not None:
        stable = rollout.deployment(rollout.stable)
        if not answers(stable) and not is_available(stable):
            said = _silence(world, rollout.stable.version, stable, rollout.pods(rollout.stable), now)
            conditions.set(READY, False, Reason.DEPLOYMENT_UNAVAILABLE, said)
            return
        current = run.outcome == "Succeeded" and serving.stable == light_version(run.number)
        if current or refresh or rollout.serving.pinned_version == serving.stable:
            renewal = _failing_renewal(run, status, conditions)
            conditions.set(READY, True, Reason.SERVING, f"{serving.stable} serves at {serving.url}{renewal}")
            return
    if failed is not None and failed.status == "True":
        stays = f"; {serving.stable} goes on serving" if serving.stable else ""
        conditions.set(READY, False, failed.reason, failed.message + stays)
        return
    where = f"run {run.number}" + (f", {run.step}" if run.step else "")
    if world.spec.suspend:
        conditions.set(READY, False, Reason.SUSPENDED, f"{where}: set spec.suspend to false, and it goes on from there")
        return
    first_false = next(
        (
            condition
            for condition in conditions.ordered()
            if condition.status == "False" and condition.type not in (FAILED, SUSPENDED, READY)
        ),
        None,
    )
    if first_false is None:
        conditions.set(READY, False, Reason.RUNNING, where)
    else:
        conditions.set(READY, False, first_false.reason, f"{where}: {first_false.message}")
