"""Which run of a Scenario should be under way, and why a new one starts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from longtail_api.scenario import RunStatus, ScenarioStatus
from longtail_operator.kubernetes.clock import read, written
from longtail_operator.scenario import schedule
from longtail_operator.scenario.world import HeavyModelView, ScenarioWorld, source_hash, trigger_hash
from longtail_operator.stores.run_numbers import last_in_children

DATA_SCHEDULE = "DataSchedule"
MODEL_SCHEDULE = "Schedule"


@dataclass
class RunDecision:
    """The run that should be under way, and what the schedules have settled."""

    run: RunStatus
    is_new: bool
    schedule: dict[str, str] = field(default_factory=dict[str, str])
    next_start: datetime | None = None


def decide_run(world: ScenarioWorld, heavy_model: HeavyModelView, now: datetime) -> RunDecision:
    """The current run, or the next one where there is a reason for it.

    Reasons, in this order: creation, a change of a listed spec field, a person's annotation, a schedule. Never a new
    agnostic version or image. The first three replace a run that is under way; a schedule waits for its end.
    Raises `schedule.ScheduleInvalid`.
    """
    run = world.status.run
    digest = trigger_hash(world, heavy_model)
    # First of all: a schedule that can't be must not go unnoticed for as long as something else decides.
    decisions = {name: _decide(world, name, cron, now) for name, cron in _crons(world).items()}
    following = min((decision.next for decision in decisions.values()), default=None)
    if run is None:
        handled = {name: written(now) for name in decisions}
        return RunDecision(_run(world, _first_number(world), "Created", digest, now), True, handled, following)
    known = {name: moment for name, moment in world.status.schedule.items() if name in decisions}
    if run.spec_hash != digest:
        return RunDecision(_run(world, run.number + 1, "SpecChanged", digest, now), True, known, following)
    if world.run_annotation is not None and world.run_annotation != run.annotation:
        return RunDecision(_run(world, run.number + 1, "Annotation", digest, now), True, known, following)
    if under_way(world.status):
        # What comes due meanwhile is decided at the run's end: starts never overlap.
        return RunDecision(run, False, {name: known.get(name, written(now)) for name in decisions})
    handled = {name: written(decision.handled) for name, decision in decisions.items()}
    new = _scheduled(world, heavy_model, {name for name, decision in decisions.items() if decision.start}, digest, now)
    return RunDecision(new or run, new is not None, handled, following)


def under_way(status: ScenarioStatus) -> bool:
    """Is a run working, or its light model being rolled out?"""
    return status.run is not None and (status.run.outcome is None or status.serving.candidate is not None)


def _scheduled(
    world: ScenarioWorld, heavy_model: HeavyModelView, due: set[str], digest: str, now: datetime
) -> RunStatus | None:
    """The run that the schedules which are `due` ask for."""
    number = world.status.run.number + 1 if world.status.run else 1
    if "model" not in due:
        return _run(world, number, DATA_SCHEDULE, digest, now) if "data" in due else None
    new = _run(world, number, MODEL_SCHEDULE, digest, now)
    data = world.status.data
    current = data is not None and data.source_hash == source_hash(world, heavy_model)
    if world.spec.refresh.data and "data" not in due and data is not None and current:
        # Data has a schedule of its own: the model is made anew from the newest that is there.
        new.data_version = data.version
    return new


def _run(world: ScenarioWorld, number: int, trigger: str, digest: str, now: datetime) -> RunStatus:
    return RunStatus(
        number=number, trigger=trigger, annotation=world.run_annotation, spec_hash=digest, started=written(now)
    )


def _first_number(world: ScenarioWorld) -> int:
    """1; or, where a status was lost, one above all that were given out: a run must not meet another one's objects."""
    stored = world.last_run if isinstance(world.last_run, int) else 0
    return max(stored, last_in_children(world.children)) + 1


def _crons(world: ScenarioWorld) -> dict[str, str]:
    refresh = world.spec.refresh
    return {name: cron for name, cron in (("data", refresh.data), ("model", refresh.model)) if cron}


def _decide(world: ScenarioWorld, name: str, cron: str, now: datetime) -> schedule.Decision:
    """What the schedule asks for; a new one counts from now on."""
    refresh, handled = world.spec.refresh, world.status.schedule.get(name)
    return schedule.decide(
        cron,
        refresh.time_zone,
        read(handled) if handled is not None else now,
        now,
        timedelta(seconds=refresh.starting_deadline_seconds),
        schedule.jitter(str(world.key), refresh.jitter_seconds),
        f"refresh.{name}",
    )
