"""What serves, and what should serve in its place: a newer model, a pinned one, or the same one in another form."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import VERSION_LABEL
from longtail_api.scenario import Refusal, RunStatus, ScenarioStatus, Serving
from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.identity import identity
from longtail_operator.kubernetes.objects import Json, annotations_of, labels_of, section
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.scenario.world import STORE_RETRY_SECONDS, HeavyModelView, ScenarioWorld
from longtail_operator.serving import objects, refusal
from longtail_operator.serving.objects import Revision
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
    stable: Revision | None = None
    """What takes the traffic, or will."""

    def deployment(self, revision: Revision) -> Json | None:
        return self.world.find("Deployment", self.place.deployment_name(revision.name))

    def rolled_out(self, holds: bool | None, reason: str, message: str) -> None:
        self.conditions.set(ConditionType.ROLLED_OUT, holds, reason, message)

    def pods(self, revision: Revision) -> list[Json]:
        return [pod for pod in self.world.pods if labels_of(pod).get(VERSION_LABEL) == revision.name]

    def is_served(self, candidate: Revision) -> bool:
        """Whether the candidate is the stable version in another form."""
        return self.stable is not None and self.stable.version == candidate.version

    def refusal(self, candidate: Revision) -> Refusal:
        """Where the status remembers what came of its checks."""
        return self.status.serving.form if self.is_served(candidate) else self.status.serving

    def goes_on(self, candidate: Revision) -> str:
        if self.stable is None:
            return ""
        return f"; {self.stable.version} goes on serving" + (" as it is" if self.is_served(candidate) else "")

    def named(self, candidate: Revision) -> str:
        """The candidate in words; of the stable version, with what is other than what serves."""
        found = self.deployment(self.stable) if self.stable is not None and self.is_served(candidate) else None
        if found is None:
            return candidate.version
        return f"{candidate.version} with {objects.what_differs(found, objects.deployment(self.place, candidate))}"


def stable_of(rollout: Rollout) -> Revision | None:
    """What takes the traffic. The status is believed where a Deployment bears it out; where it was lost (a restored
    backup) or edited, what the Service sends requests to goes on; where that is gone too, the status brings it back."""
    status = rollout.status.serving
    service = rollout.world.find("Service", rollout.place.service_name)
    standing = _standing(rollout, status.revision or status.stable)
    if standing is not None and (standing.version, standing.sha256) == (status.stable, status.stable_sha256):
        return standing
    selected = _standing(rollout, section(service or {}, "spec", "selector").get(VERSION_LABEL))
    if selected is not None:
        if status.stable != selected.version:
            status.promoted = written(rollout.now)
        status.stable, status.stable_sha256 = selected.version, selected.sha256
        return selected
    if status.stable is None or status.stable_sha256 is None:
        return None
    return Revision(status.stable, status.stable_sha256, status.stable)


def _standing(rollout: Rollout, name: str | None) -> Revision | None:
    """The revision of this name, where its Deployment stands."""
    found = rollout.world.find("Deployment", rollout.place.deployment_name(name)) if name else None
    sha256 = annotations_of(found).get(objects.SHA256_ANNOTATION) if found else None
    if name is None or found is None or sha256 is None:
        return None
    return Revision(labels_of(found).get(VERSION_LABEL, name), sha256, name)


def candidate_of(rollout: Rollout) -> Revision | None:
    """What should serve instead of what does; None where there is nothing to roll out now."""
    serving, stable, run = rollout.serving, rollout.stable, rollout.run
    newest = (light_version(run.number), run.light_sha256) if run is not None and run.light_sha256 else None
    pinned = serving.pinned_version
    if pinned is not None and (stable is None or stable.version != pinned):
        return _pinned(rollout, pinned)
    if pinned is None and newest is not None and (stable is None or newest[0] != stable.version):
        candidate = Revision(newest[0], str(newest[1]), newest[0])
        if _is_due(rollout, candidate):
            return candidate
    elif stable is None:
        rollout.rolled_out(False, Reason.WAITING, "no light model yet")
    elif pinned is not None:
        note = f"; {newest[0]} is newer" if newest and newest[0] != pinned else ""
        rollout.rolled_out(True, Reason.PROMOTED, f"{pinned} is pinned{note}")
    else:
        rollout.rolled_out(True, Reason.PROMOTED, f"{stable.version} serves")
    return _in_another_form(rollout, stable) if stable is not None else None


def _pinned(rollout: Rollout, version: str) -> Revision | None:
    card = rollout.world.pinned_card
    if card is None:
        rollout.rolled_out(
            False, Reason.INVALID_SPEC,
            f"serving.pinnedVersion: the store has no light version {version}; name one it has",
        )  # fmt: skip
        return None
    if isinstance(card, Trouble):
        rollout.rolled_out(False, card.reason, card.message)
        rollout.draft.requeue_in(STORE_RETRY_SECONDS)
        return None
    return Revision(version, card.sha256, version)


def _in_another_form(rollout: Rollout, stable: Revision) -> Revision | None:
    """The stable version as its pods would be made now, where that is otherwise, and there are pods to spare."""
    status, found = rollout.status.serving, rollout.deployment(stable)
    wanted = objects.deployment(rollout.place, stable)
    if found is None or objects.is_of_form(found, wanted):
        status.form, status.tried_image = Refusal(), None
        return None
    candidate = replace(stable, name=f"{stable.version}-{objects.form_of(wanted)[:8]}")
    if objects.replicas_of(found) == 0 or not _is_due(rollout, candidate):
        return None
    image = objects.image_of(wanted)
    upgrades, held = image != objects.image_of(found), rollout.world.upgrade_held
    if upgrades and held is not None and objects.answers(found):
        _say(rollout, held.reason, held.message + rollout.goes_on(candidate))
        return None
    status.tried_image = image if upgrades else None
    return candidate


def _is_due(rollout: Rollout, candidate: Revision) -> bool:
    """May a candidate be checked now? Where not, RolledOut says why, unless it has something to say already."""
    if rollout.world.spec.suspend:
        words = f"{rollout.named(candidate)} is checked once spec.suspend is false"
        _say(rollout, Reason.SUSPENDED, words + (rollout.goes_on(candidate) or "; nothing serves yet"))
        return False
    known = rollout.refusal(candidate)
    refused = refusal.refused_for(known, candidate.name, check_digest(rollout, candidate), rollout.now)
    if refused is None:
        return True
    if refused != timedelta.max:
        rollout.draft.requeue_in(refused.total_seconds())
    said = rollout.conditions.before(ConditionType.ROLLED_OUT)
    if known.refused_reason is not None:
        _say(rollout, known.refused_reason, f"{known.refused_message}{rollout.goes_on(candidate)}")
    elif said is not None and said.reason != Reason.INVALID_SPEC:
        # An earlier operator left its words in the condition alone.
        rollout.conditions.keep(ConditionType.ROLLED_OUT)
    else:
        _say(rollout, Reason.CHECK_FAILED, f"{candidate.name} was refused before{rollout.goes_on(candidate)}")
    return False


def _say(rollout: Rollout, reason: str, message: str) -> None:
    """Why something is not rolled out. What is said of the newest model stands before what is said of a form."""
    said = rollout.conditions.current(ConditionType.ROLLED_OUT)
    if said is None or said.status == "True":
        rollout.rolled_out(False, reason, message)


def check_digest(rollout: Rollout, candidate: Revision) -> str:
    """Hash of what a candidate is checked against, and in which form."""
    serving = rollout.serving
    return identity(
        version=candidate.version,
        sha256=candidate.sha256,
        stable=rollout.stable.version if rollout.stable is not None else None,
        slo=serving.slo.to_json_dict() if serving.slo else None,
        rollout=serving.rollout.to_json_dict(),
        max_regression=f"{serving.max_regression:f}",
        form=objects.form_of(objects.deployment(rollout.place, candidate)),
    )
