"""Which light version serves: a candidate is checked before any user's traffic; the stable one is never in danger."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import VERSION_LABEL
from longtail_api.scenario import Lineage, RunStatus, ScenarioStatus, Serving, ServingStatus
from longtail_api.store_layout import requests_key
from longtail_api.store_objects import ModelCard
from longtail_operator.kubernetes.clock import read, written
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.identity import identity
from longtail_operator.kubernetes.objects import Json, annotations_of, is_deleting, key_of, labels_of, section
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.scenario.world import STORE_RETRY_SECONDS, HeavyModelView, ScenarioWorld, secret_name
from longtail_operator.serving import check, objects, refusal
from longtail_operator.stores.run_numbers import light_version


@dataclass
class Rollout:
    """The rollout of one Scenario in the making: what is seen, what it comes to."""

    world: ScenarioWorld
    heavy_model: HeavyModelView
    serving: Serving
    place: objects.ServingPlace
    run: RunStatus | None
    status: ScenarioStatus
    conditions: Conditions
    draft: Draft
    now: datetime

    def deployment(self, version: str) -> Json | None:
        return self.world.find("Deployment", self.place.deployment_name(version))

    def rolled_out(self, holds: bool | None, reason: str, message: str) -> None:
        self.conditions.set(ConditionType.ROLLED_OUT, holds, reason, message)

    def pods(self, version: str) -> list[Json]:
        return [pod for pod in self.world.pods if labels_of(pod).get(VERSION_LABEL) == version]


def plan_rollout(
    world: ScenarioWorld, heavy_model: HeavyModelView, run: RunStatus | None, status: ScenarioStatus,
    conditions: Conditions, draft: Draft, now: datetime,
) -> None:  # fmt: skip
    """Decide what serves; changes `status.serving`, `conditions` and `draft`."""
    serving = world.spec.serving
    if serving is None:
        status.serving = ServingStatus()
        return
    place = objects.ServingPlace(
        world.raw, world.store_key, world.settings, heavy_model.spec.storage, secret_name(world, heavy_model), serving
    )
    rollout = Rollout(world, heavy_model, serving, place, run, status, conditions, draft, now)
    _adopt(rollout)
    refusal.put_off_what_was_refused(status.serving, conditions.before(ConditionType.ROLLED_OUT), now)
    wanted = _wanted(rollout)
    if wanted is not None:
        _advance(rollout, *wanted)
    _stand(rollout)


def _adopt(rollout: Rollout) -> None:
    """A status that was lost (a restored backup) must not take down what serves: the Service still says what does."""
    serving = rollout.status.serving
    service = rollout.world.find("Service", rollout.place.service_name)
    if serving.stable is not None or service is None:
        return
    version = section(service, "spec", "selector").get(VERSION_LABEL)
    found = rollout.deployment(version) if version else None
    sha256 = annotations_of(found).get(objects.SHA256_ANNOTATION) if found else None
    if version and sha256:
        serving.stable, serving.stable_sha256 = version, sha256
        serving.promoted = written(rollout.now)


def _wanted(rollout: Rollout) -> tuple[str, str] | None:
    """The version, with its hash, that should serve instead of the stable one; None where there is none to roll out."""
    serving, status, run = rollout.serving, rollout.status.serving, rollout.run
    newest = (light_version(run.number), run.light_sha256) if run is not None and run.light_sha256 else None
    if serving.pinned_version is not None:
        status.candidate = None
        if status.stable == serving.pinned_version:
            note = f"; {newest[0]} is newer" if newest and newest[0] != status.stable else ""
            rollout.rolled_out(True, Reason.PROMOTED, f"{status.stable} is pinned{note}")
            return None
        card = rollout.world.pinned_card
        if card is None:
            rollout.rolled_out(
                False, Reason.INVALID_SPEC,
                f"serving.pinnedVersion: the store has no light version {serving.pinned_version}; name one it has",
            )  # fmt: skip
            return None
        if isinstance(card, Trouble):
            rollout.rolled_out(False, card.reason, card.message)
            rollout.draft.requeue_in(STORE_RETRY_SECONDS)
            return None
        return serving.pinned_version, card.sha256
    if newest is None or newest[0] == status.stable:
        if status.stable is not None and status.candidate is None:
            rollout.rolled_out(True, Reason.PROMOTED, f"{status.stable} serves")
        else:
            rollout.rolled_out(False, Reason.WAITING, "no light model yet")
        status.candidate = None
        return None
    if rollout.world.spec.suspend:
        status.candidate = None
        serves = f"{status.stable} goes on serving" if status.stable else "nothing serves yet"
        words = f"{newest[0]} is checked once spec.suspend is false; {serves}"
        rollout.rolled_out(False, Reason.SUSPENDED, words)
        return None
    refused = refusal.refused_for(status, newest[0], _check_digest(rollout, *newest), rollout.now)
    if refused is not None:
        status.candidate = None
        if refused != timedelta.max:
            rollout.draft.requeue_in(refused.total_seconds())
        rollout.conditions.keep(ConditionType.ROLLED_OUT)
        return None
    return newest[0], str(newest[1])


def _advance(rollout: Rollout, version: str, sha256: str) -> None:
    """Bring a version up beside the stable one and, once it may, put it in its place."""
    status = rollout.status.serving
    if status.candidate != version or status.candidate_since is None:
        status.candidate_since = written(rollout.now)
    status.candidate = version
    found = rollout.deployment(version)
    # It takes all of the stable version's traffic at once, so it begins with as many pods.
    stable = rollout.deployment(status.stable) if found is None and status.stable is not None else None
    rollout.draft.children.append(
        objects.deployment(rollout.place, version, sha256, objects.replicas_of(stable) if stable else 0)
    )
    rollout.draft.children.append(objects.service(rollout.place, rollout.place.candidate_service_name, version))
    own_pods = rollout.pods(version)
    if not objects.is_available(found):
        trouble = rollout.world.refused(rollout.place.deployment_name(version)) or objects.not_answering(
            found, own_pods, rollout.now, rollout.world.said.heard
        )
        words = trouble or Trouble(Reason.PENDING, f"waiting for the pods of {version}")
        rollout.rolled_out(False, words.reason, words.message)
        if rollout.serving.pinned_version is None:
            _wait_for(rollout, version, sha256, words)
        return
    candidate = rollout.place.candidate_service_name
    refused = rollout.world.refused(candidate)
    if refused is not None or rollout.world.find("Service", candidate) is None:
        # Whoever answers under another's name must not be asked in the candidate's place.
        words = refused or Trouble(Reason.PENDING, f"waiting for Service {candidate}")
        rollout.rolled_out(False, words.reason, words.message)
        return
    if rollout.serving.pinned_version == version:
        # A person's choice, often of an older version in an emergency: that it answers is enough.
        _promote(rollout, version, sha256, "pinned")
        return
    _check(rollout, version, sha256)


def _wait_for(rollout: Rollout, version: str, sha256: str, why: Trouble) -> None:
    """Keep a candidate whose pods do not answer, but not for so long that no newer run could start."""
    status, now = rollout.status.serving, rollout.now
    left = read(str(status.candidate_since)) + refusal.COMES_UP_WITHIN - now
    if left > timedelta():
        rollout.draft.requeue_in(left.total_seconds())
        return
    again = refusal.give_up(status, version, _check_digest(rollout, version, sha256), now)
    rollout.draft.requeue_in((again - now).total_seconds())
    minutes = int(refusal.COMES_UP_WITHIN.total_seconds() // 60)
    said = f"{version} did not come up in {minutes} minutes: {why.message}"
    _take_down(rollout, version, why.reason, f"{said}; it is brought up again at {written(again)}, or a newer one")


def _check_digest(rollout: Rollout, version: str, sha256: str | None) -> str:
    """Hash of what a version is checked against."""
    serving, stable = rollout.serving, rollout.status.serving.stable
    return identity(
        version=version,
        sha256=sha256,
        stable=stable,
        slo=serving.slo.to_json_dict() if serving.slo else None,
        rollout=serving.rollout.to_json_dict(),
        max_regression=f"{serving.max_regression:f}",
        resources=serving.resources.to_json_dict(),
    )


def _check(rollout: Rollout, version: str, sha256: str) -> None:
    status, digest = rollout.status.serving, _check_digest(rollout, version, sha256)
    data_version = (rollout.run.data_version if rollout.run else None) or ""
    asked = check.Check(
        rollout.place, version, status.stable, digest, refusal.unmeasured_checks(status, version, digest),
        requests_key(rollout.world.store_key, data_version), rollout.heavy_model.spec.data_schema.labels,
    )  # fmt: skip
    checked = check.follow(asked, rollout.world, rollout.draft, rollout.now)
    match checked.state:
        case "Passed":
            _promote(rollout, version, sha256, checked.message, checked.p99_milliseconds)
        case "Refused":
            _refuse(rollout, version, digest, checked.reason, checked.message)
        case "Unmeasured":
            _put_off(rollout, version, digest, checked.message)
        case "UnderWay":
            rollout.rolled_out(False, checked.reason, checked.message)


def _promote(rollout: Rollout, version: str, sha256: str, message: str, p99: float | None = None) -> None:
    status, run = rollout.status.serving, rollout.run
    status.p99_milliseconds = None if p99 is None else f"{p99:.1f}"
    status.stable, status.stable_sha256, status.candidate = version, sha256, None
    status.promoted = written(rollout.now)
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


def _put_off(rollout: Rollout, version: str, digest: str, message: str) -> None:
    status, now = rollout.status.serving, rollout.now
    again = refusal.put_off(status, version, digest, now)
    rollout.draft.requeue_in((again - now).total_seconds())
    why = f"check {status.unmeasured_checks} of {version} measured nothing: {message}"
    _take_down(rollout, version, Reason.CHECK_INCONCLUSIVE, f"{why}; it is checked again at {written(again)}")


def _refuse(rollout: Rollout, version: str, digest: str, reason: str, message: str) -> None:
    refusal.refuse(rollout.status.serving, version, digest)
    _take_down(rollout, version, reason, f"{version} was refused: {message}")


def _take_down(rollout: Rollout, version: str, reason: str, message: str) -> None:
    """The candidate goes, until it is to be checked again."""
    stable = rollout.status.serving.stable
    rollout.rolled_out(False, reason, message + (f"; {stable} goes on serving" if stable else ""))
    for item in (rollout.place.deployment_name(version), rollout.place.candidate_service_name):
        rollout.draft.children[:] = [child for child in rollout.draft.children if child["metadata"]["name"] != item]


def _stand(rollout: Rollout) -> None:
    """The objects of the stable version, and what is left of earlier ones until they have drained."""
    status, draft, place = rollout.status.serving, rollout.draft, rollout.place
    trust = objects.trust(place)
    if trust is not None:
        draft.children.append(trust)
    if status.stable is None or status.stable_sha256 is None:
        status.url = None
        return
    status.url = place.url
    wanted = {child["metadata"]["name"] for child in draft.children if child["kind"] == "Deployment"}
    if place.deployment_name(status.stable) not in wanted:
        draft.children.append(objects.deployment(place, status.stable, status.stable_sha256))
    draft.children.append(objects.service(place, place.service_name, status.stable))
    draft.children.append(objects.disruption_budget(place, status.stable))
    autoscaler = objects.autoscaler(place, status.stable)
    if autoscaler is not None:
        draft.children.append(autoscaler)
    _drain(rollout)


def _drain(rollout: Rollout) -> None:
    """Keep what served before until the Service has turned away from it and its requests are answered."""
    status, draft, world = rollout.status.serving, rollout.draft, rollout.world
    service = world.find("Service", rollout.place.service_name)
    turned = service is not None and section(service, "spec", "selector").get(VERSION_LABEL) == status.stable
    answering = objects.answers(rollout.deployment(str(status.stable)))
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
