"""Which light version serves: a candidate is checked before any user's traffic; the stable one is never in danger."""

from datetime import datetime, timedelta

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import VERSION_LABEL
from longtail_api.scenario import Lineage, Refusal, RunStatus, ScenarioStatus, ServingStatus
from longtail_api.store_layout import requests_key
from longtail_api.store_objects import ModelCard
from longtail_operator.kubernetes.clock import read, written
from longtail_operator.kubernetes.conditions import Conditions, shortened
from longtail_operator.kubernetes.objects import is_deleting, key_of, section
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.scenario.world import HeavyModelView, ScenarioWorld, secret_name
from longtail_operator.serving import check, objects, refusal
from longtail_operator.serving.candidate import Rollout, candidate_of, check_digest, stable_of
from longtail_operator.serving.objects import Revision
from longtail_operator.stores.run_numbers import light_version


def plan_rollout(
    world: ScenarioWorld, heavy_model: HeavyModelView, run: RunStatus | None, status: ScenarioStatus,
    conditions: Conditions, draft: Draft, now: datetime,
) -> Rollout | None:  # fmt: skip
    """Decide what serves; changes `status.serving`, `conditions` and `draft`. None where nothing is to serve."""
    serving = world.spec.serving
    if serving is None:
        status.serving = ServingStatus()
        return None
    place = objects.ServingPlace(
        world.raw, world.store_key, world.settings, heavy_model.spec.storage, secret_name(world, heavy_model), serving
    )
    rollout = Rollout(world, heavy_model, serving, place, run, status, conditions, draft, now)
    rollout.stable = stable_of(rollout)
    refusal.put_off_what_was_refused(status.serving, conditions.before(ConditionType.ROLLED_OUT), now)
    candidate = candidate_of(rollout)
    if candidate is None:
        status.serving.candidate = None
    else:
        _advance(rollout, candidate)
    _stand(rollout)
    return rollout


def _advance(rollout: Rollout, candidate: Revision) -> None:
    """Bring a candidate up beside what serves and, once it may, put it in its place."""
    status, stable = rollout.status.serving, rollout.stable
    if status.candidate != candidate.name or status.candidate_since is None:
        status.candidate_since = written(rollout.now)
    status.candidate = candidate.name
    found, standing = rollout.deployment(candidate), rollout.deployment(stable) if stable is not None else None
    # It takes all of the stable version's traffic at once, so it begins with as many pods.
    replicas = objects.replicas_of(standing) if found is None and standing is not None else 0
    rollout.draft.children.append(objects.deployment(rollout.place, candidate, replicas))
    rollout.draft.children.append(objects.service(rollout.place, rollout.place.candidate_service_name, candidate))
    is_pinned = rollout.serving.pinned_version == candidate.version and not rollout.is_served(candidate)
    if not objects.is_available(found):
        trouble = rollout.world.refused(rollout.place.deployment_name(candidate.name)) or objects.not_answering(
            found, rollout.pods(candidate), rollout.now, rollout.world.said.heard
        )
        words = trouble or Trouble(Reason.PENDING, f"waiting for the pods of {rollout.named(candidate)}")
        rollout.rolled_out(False, words.reason, words.message)
        if not is_pinned:
            _wait_for(rollout, candidate, words)
        return
    service = rollout.place.candidate_service_name
    refused = rollout.world.refused(service)
    if refused is not None or rollout.world.find("Service", service) is None:
        # Whoever answers under another's name must not be asked in the candidate's place.
        words = refused or Trouble(Reason.PENDING, f"waiting for Service {service}")
        rollout.rolled_out(False, words.reason, words.message)
    elif is_pinned:
        # A person's choice, often of an older version in an emergency: that it answers is enough.
        _promote(rollout, candidate, "pinned")
    elif rollout.is_served(candidate) and not objects.answers(standing):
        # Nothing is in danger, and a check would ask for a comparison that can't be.
        _promote(rollout, candidate, "it answers, which it did not as it was before")
    else:
        _check(rollout, candidate)


def _wait_for(rollout: Rollout, candidate: Revision, why: Trouble) -> None:
    """Keep a candidate whose pods do not answer, but not for so long that no newer run could start."""
    now = rollout.now
    left = read(str(rollout.status.serving.candidate_since)) + refusal.COMES_UP_WITHIN - now
    if left > timedelta():
        rollout.draft.requeue_in(left.total_seconds())
        return
    again = refusal.give_up(rollout.refusal(candidate), candidate.name, check_digest(rollout, candidate), now)
    rollout.draft.requeue_in((again - now).total_seconds())
    minutes = int(refusal.COMES_UP_WITHIN.total_seconds() // 60)
    said = f"{rollout.named(candidate)} did not come up in {minutes} minutes: {why.message}"
    _take_down(rollout, candidate, why.reason, f"{said}; it is brought up again at {written(again)}, or a newer one")


def _check(rollout: Rollout, candidate: Revision) -> None:
    known, digest = rollout.refusal(candidate), check_digest(rollout, candidate)
    data_version = (rollout.run.data_version if rollout.run else None) or ""
    asked = check.Check(
        rollout.place, candidate.version, rollout.stable.version if rollout.stable is not None else None, digest,
        refusal.unmeasured_checks(known, candidate.name, digest), requests_key(rollout.world.store_key, data_version),
        rollout.heavy_model.spec.data_schema.labels,
    )  # fmt: skip
    checked = check.follow(asked, rollout.world, rollout.draft, rollout.now)
    match checked.state:
        case "Passed":
            _promote(rollout, candidate, checked.message, checked.p99_milliseconds)
        case "Refused":
            refusal.refuse(known, candidate.name, digest)
            words = f"{rollout.named(candidate)} was refused: {checked.message}"
            _take_down(rollout, candidate, checked.reason, words)
        case "Unmeasured":
            again = refusal.put_off(known, candidate.name, digest, rollout.now)
            rollout.draft.requeue_in((again - rollout.now).total_seconds())
            said = f"check {known.unmeasured_checks} of {rollout.named(candidate)} measured nothing: {checked.message}"
            _take_down(rollout, candidate, checked.reason, f"{said}; it is checked again at {written(again)}")
        case "UnderWay":
            rollout.rolled_out(False, checked.reason, checked.message)


def _promote(rollout: Rollout, candidate: Revision, message: str, p99: float | None = None) -> None:
    status, run, version = rollout.status.serving, rollout.run, candidate.version
    status.p99_milliseconds = None if p99 is None else f"{p99:.1f}"
    status.stable, status.stable_sha256, status.candidate = version, candidate.sha256, None
    status.form, status.tried_image = Refusal(), None
    status.promoted = written(rollout.now)
    rollout.stable = candidate
    rollout.rolled_out(True, Reason.PROMOTED, f"{version} serves: {message}")
    if run is not None and version == light_version(run.number):
        rollout.status.lineage = Lineage(
            data_version=run.data_version,
            agnostic_version=run.base_version,
            search=rollout.status.lineage.search,
            light_version=version,
        )
    elif isinstance(card := rollout.world.pinned_card, ModelCard):
        rollout.status.lineage = Lineage(
            data_version=card.data_version, agnostic_version=card.agnostic_version, light_version=version
        )


def _take_down(rollout: Rollout, candidate: Revision, reason: str, message: str) -> None:
    """The candidate goes, until it is to be checked again."""
    known = rollout.refusal(candidate)
    rollout.status.serving.candidate = None
    known.refused_reason, known.refused_message = reason, shortened(message)
    rollout.rolled_out(False, reason, message + rollout.goes_on(candidate))
    for item in (rollout.place.deployment_name(candidate.name), rollout.place.candidate_service_name):
        rollout.draft.children[:] = [child for child in rollout.draft.children if child["metadata"]["name"] != item]


def _stand(rollout: Rollout) -> None:
    """The objects of the stable version, and what is left of earlier ones until they have drained."""
    status, draft, place, stable = rollout.status.serving, rollout.draft, rollout.place, rollout.stable
    status.revision = stable.name if stable is not None else None
    trust = objects.trust(place)
    if trust is not None:
        draft.children.append(trust)
    if stable is None:
        status.url = None
        return
    status.url = place.url
    planned = {child["metadata"]["name"] for child in draft.children if child["kind"] == "Deployment"}
    if place.deployment_name(stable.name) not in planned:
        found, wanted = rollout.deployment(stable), objects.deployment(place, stable)
        if found is not None and not objects.is_of_form(found, wanted):
            wanted = objects.as_it_is(found, wanted)
        draft.children.append(wanted)
    draft.children.append(objects.service(place, place.service_name, stable))
    draft.children.append(objects.disruption_budget(place, stable))
    autoscaler = objects.autoscaler(place, stable)
    if autoscaler is not None:
        draft.children.append(autoscaler)
    _drain(rollout, stable)


def _drain(rollout: Rollout, stable: Revision) -> None:
    """Keep what served before until the Service has turned away from it and its requests are answered."""
    status, draft, world = rollout.status.serving, rollout.draft, rollout.world
    service = world.find("Service", rollout.place.service_name)
    turned = service is not None and section(service, "spec", "selector").get(VERSION_LABEL) == stable.name
    answering = objects.answers(rollout.deployment(stable))
    drained = (
        read(status.promoted) + timedelta(seconds=world.settings.drain_seconds) if status.promoted else rollout.now
    )
    wanted = {key_of(child) for child in draft.children}
    leftovers = [
        item
        for item in world.children
        if item["kind"] == "Deployment" and key_of(item) not in wanted and not is_deleting(item)
    ]
    if leftovers and not (turned and answering and rollout.now >= drained):
        draft.kept.update(key_of(item) for item in leftovers)
        draft.requeue_in(max((drained - rollout.now).total_seconds(), 1.0))
