"""Which run of a Scenario should be under way, and why a new one starts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from longtail_api.scenario import RunStatus, ScenarioStatus
from longtail_operator import schedule
from longtail_operator.clock import read, written
from longtail_operator.plans.scenario_world import HeavyModelView, ScenarioWorld, source_hash, trigger_hash
from longtail_operator.run_numbers import last_in_children

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
    if run is None:
        handled = {name: written(now) for name in _crons(world)}
        return RunDecision(
            _run(world, _first_number(world), "Created", digest, now), True, handled, _next(world, handled, now)
        )
    if run.spec_hash != digest:
        return RunDecision(
            _run(world, run.number + 1, "SpecChanged", digest, now),
            True,
            _known(world),
            _next(world, _known(world), now),
        )
    if world.run_annotation is not None and world.run_annotation != run.annotation:
        return RunDecision(
            _run(world, run.number + 1, "Annotation", digest, now),
            True,
            _known(world),
            _next(world, _known(world), now),
        )
    return _scheduled(world, heavy_model, run, digest, now)


def under_way(status: ScenarioStatus) -> bool:
    """Is a run working, or its light model being rolled out?"""
    return status.run is not None and (status.run.outcome is None or status.serving.candidate is not None)


def _scheduled(
    world: ScenarioWorld, heavy_model: HeavyModelView, run: RunStatus, digest: str, now: datetime
) -> RunDecision:
    known = _known(world)
    handled = {name: known.get(name, written(now)) for name in _crons(world)}
    if under_way(world.status):
        # What comes due meanwhile is decided at the run's end: starts never overlap.
        return RunDecision(run, False, handled)
    due: set[str] = set()
    for name, cron in _crons(world).items():
        decision = _decide(world, cron, read(handled[name]), now)
        if decision.handled > read(handled[name]):
            handled[name] = written(decision.handled)
        if decision.start:
            due.add(name)
    following = _next(world, handled, now)
    if "model" in due:
        new = _run(world, run.number + 1, MODEL_SCHEDULE, digest, now)
        data = world.status.data
        if (
            world.spec.refresh.data
            and "data" not in due
            and data
            and data.source_hash == source_hash(world, heavy_model)
        ):
            # Data has a schedule of its own: the model is made anew from the newest that is there.
            new.data_version = data.version
        return RunDecision(new, True, handled, following)
    if "data" in due:
        return RunDecision(_run(world, run.number + 1, DATA_SCHEDULE, digest, now), True, handled, following)
    return RunDecision(run, False, handled, following)


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


def _known(world: ScenarioWorld) -> dict[str, str]:
    return {name: moment for name, moment in world.status.schedule.items() if name in _crons(world)}


def _decide(world: ScenarioWorld, cron: str, handled: datetime, now: datetime) -> schedule.Decision:
    refresh = world.spec.refresh
    return schedule.decide(
        cron,
        refresh.time_zone,
        handled,
        now,
        timedelta(seconds=refresh.starting_deadline_seconds),
        schedule.jitter(str(world.key), refresh.jitter_seconds),
    )


def _next(world: ScenarioWorld, handled: dict[str, str], now: datetime) -> datetime | None:
    times = [
        _decide(world, cron, read(handled[name]) if name in handled else now, now).next
        for name, cron in _crons(world).items()
    ]
    return min(times) if times else None
