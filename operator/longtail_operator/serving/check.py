"""The check of a candidate: a Job that asks it recorded requests, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from longtail_api.conditions import Reason
from longtail_api.data_schema import LabelColumn
from longtail_api.labels import IDENTITY_ANNOTATION, VERSION_LABEL
from longtail_api.shared_specs import Resources
from longtail_operator.kubernetes import pods as pod_words
from longtail_operator.kubernetes.children import CHECKER, child, container, labels, pod_metadata, pod_spec
from longtail_operator.kubernetes.clock import read
from longtail_operator.kubernetes.identity import identity
from longtail_operator.kubernetes.jobs import LOST_MESSAGE_AFTER, conditions_of, may_still_say_why
from longtail_operator.kubernetes.objects import Json, is_deleting, key_of
from longtail_operator.kubernetes.observed import Observed
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.serving.objects import ServingPlace

CHECK = "check"
CHECK_RESOURCES = Resources(requests={"cpu": "250m", "memory": "256Mi"})
"""Of a check: what it needs to measure a server and not its own waiting. No limit, which would throttle it."""


@dataclass(frozen=True)
class Check:
    """What is asked of whom."""

    place: ServingPlace
    candidate: str
    stable: str | None
    """The version that the candidate is compared with, where there is one."""
    digest: str
    """Hash of what the candidate is checked against."""
    unmeasured: int
    """How many checks of the same measured nothing before this one."""
    requests_key: str
    """Where the store has the recorded requests."""
    labels_compared: Sequence[LabelColumn]

    @property
    def name(self) -> str:
        """Who is asked is part of it: a Job that asks under an older name of the candidate ends. So is how many checks
        measured nothing before: their reports are not its own."""
        again = {"again": self.unmeasured} if self.unmeasured else {}
        asked = identity(check=self.digest, service=self.place.candidate_service_name, **again)
        return f"{self.place.service_name}-check-{asked[:8]}"


@dataclass(frozen=True)
class Checked:
    """How far a check is. reason and message: for a condition."""

    state: Literal["UnderWay", "Passed", "Refused", "Unmeasured"]
    reason: str
    message: str
    p99_milliseconds: float | None = None


def follow(check: Check, observed: Observed, draft: Draft, now: datetime) -> Checked:
    """How far the check is; `draft` has what keeps it going."""
    job = check_job(check)
    found = observed.find("Job", check.name)
    own_pods = pod_words.of_job(observed.pods, check.name)
    holding = conditions_of(found) if found else {}
    report = pod_words.check_report(own_pods)
    if found is not None and not holding and pod_words.outlived(own_pods, now) is not None:
        # Another container keeps the pod, and so the Job, from ending.
        holding = dict[str, Json]({"Complete" if report is not None else "Failed": {}})
    if found is not None and is_deleting(found):
        return Checked("UnderWay", Reason.CHECKING, "waiting until the check's Job that was deleted is gone")
    if "Complete" in holding and report is None:
        return _awaiting_report(job, holding["Complete"], draft, now)
    if "Complete" in holding and report is not None:
        if report.verdict == "Passed":
            return Checked("Passed", Reason.PROMOTED, report.message, report.p99_milliseconds)
        if report.verdict == "Inconclusive":
            return Checked("Unmeasured", Reason.CHECK_INCONCLUSIVE, report.message)
        return Checked("Refused", report.reason or Reason.CHECK_FAILED, report.message)
    if "Failed" in holding and may_still_say_why(holding["Failed"], own_pods, now):
        return _awaiting_report(job, holding["Failed"], draft, now)
    if "Failed" in holding:
        words = pod_words.last_words(own_pods)
        said = words.message if words else str(holding["Failed"].get("message") or "no word of why")
        return Checked("Unmeasured", Reason.CHECK_INCONCLUSIVE, f"the check itself failed: {said}")
    draft.children.append(job)
    state = observed.job_state(check.name, now)
    if state.reason not in ("", Reason.RUNNING):
        return Checked("UnderWay", state.reason, state.message)
    words = f"{check.candidate} answers recorded requests before it takes any traffic"
    return Checked("UnderWay", Reason.CHECKING, words)


def _awaiting_report(job: Json, end: Json, draft: Draft, now: datetime) -> Checked:
    """The check is over but its report is not here: it may still arrive, or its pod is gone and it has to run again."""
    age = now - read(str(end["lastTransitionTime"]))
    if age < LOST_MESSAGE_AFTER:
        draft.requeue_in((LOST_MESSAGE_AFTER - age).total_seconds())
        draft.kept.add(key_of(job))
    else:
        draft.deletions.append(key_of(job))
    return Checked("UnderWay", Reason.CHECKING, "waiting for the report of the check")


def check_job(check: Check) -> Json:
    """Answers recorded requests against the candidate, and against the stable version where there is one."""
    place, serving = check.place, check.place.serving
    flags = [
        "check",
        *place.store_flags(),
        f"--candidate-url={place.address(place.candidate_service_name)}",
        f"--candidate={check.candidate}",
        f"--model-name={place.name}",
        f"--scenario={place.store_key}",
        f"--requests-key={check.requests_key}",
        f"--labels={','.join(f'{label.name}={label.type}' for label in check.labels_compared)}",
        f"--seconds={serving.rollout.check_seconds}",
        f"--concurrency={serving.rollout.check_concurrency}",
        f"--max-regression={serving.max_regression:f}",
    ]
    if serving.slo is not None:
        flags.append(f"--p99-milliseconds={serving.slo.p99_milliseconds:f}")
        flags.append(f"--max-error-rate={serving.slo.max_error_rate:f}")
    if check.stable is not None:
        flags += [f"--stable-url={place.address(place.service_name)}", f"--stable={check.stable}"]
    checker = container(
        CHECKER, place.settings.serving_image, place.settings.image_pull_policy, flags, CHECK_RESOURCES, place.secret,
        config_map=place.trust_name is not None,
    )  # fmt: skip
    pod = pod_spec(checker, place.serving.pod_template, place.secret, place.trust_name)
    pod["restartPolicy"] = "Never"
    spec: Json = {
        "backoffLimit": 3,
        "activeDeadlineSeconds": 4 * serving.rollout.check_seconds + 600,
        "ttlSecondsAfterFinished": place.settings.job_ttl_seconds,
        "suspend": False,
        # An eviction or a preemption is none of the check's own failures.
        "podFailurePolicy": {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "template": {
            "metadata": pod_metadata(place.owner, place.serving.pod_template, labels(place.owner, CHECK)),
            "spec": pod,
        },
    }
    return child(
        "Job",
        check.name,
        place.owner,
        CHECK,
        {"spec": spec},
        {VERSION_LABEL: check.candidate},
        {IDENTITY_ANNOTATION: check.digest},
    )
