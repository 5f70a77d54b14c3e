"""A training step as a Job and the ConfigMap it reads, and what the state of a Job means."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from longtail_api.conditions import MESSAGE_LIMIT, Reason
from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.labels import IDENTITY_ANNOTATION, MADE_OF_ANNOTATION
from longtail_api.pod_template import PodTemplate
from longtail_api.run_config import PERMANENT_EXIT_CODES, ExitCode, StepConfig
from longtail_api.shared_specs import Resources, Storage, Trainer, TrainerOverrides
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes import pods as pod_words
from longtail_operator.kubernetes.children import (
    CONFIG_FILE,
    TRAINER,
    child,
    container,
    labels,
    pod_metadata,
    pod_spec,
    store_address,
)
from longtail_operator.kubernetes.clock import read
from longtail_operator.kubernetes.conditions import shortened
from longtail_operator.kubernetes.held_up import held_up
from longtail_operator.kubernetes.identity import identity
from longtail_operator.kubernetes.objects import Json, is_deleting, key_of, labels_of, section, uid_of
from longtail_operator.kubernetes.ranks import Ranks, environment, fitting, gpus, headless_service, indexed
from longtail_operator.kubernetes.surroundings import is_around
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.settings import Settings

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
LOST_MESSAGE_AFTER = timedelta(seconds=30)
"""A Job and its pod are watched apart: the pod's last message may arrive after the Job's end."""
NO_POD_AFTER = timedelta(seconds=30)
"""How long a Job may be without a pod before its condition says so."""
_OF_THE_DATA = frozenset({ExitCode.DATA_INVALID, ExitCode.UNREACHABLE_GOAL})
"""What ended so was told of the tables or of the goal, whatever reason it gives: nothing around it mends that."""
AWAITING_WORDS = "waiting for the termination message"


@dataclass(frozen=True)
class Workplace:
    """Where and how the Jobs of one resource run: everything but the step itself."""

    owner: Json
    settings: Settings
    storage: Storage
    secret: str | None
    trainer: Trainer
    overrides: TrainerOverrides
    suspended: bool
    distributed: frozenset[str] = frozenset()
    """Steps that share their work among several processes, where the trainer has them."""

    @property
    def resources(self) -> Resources:
        return self.overrides.resources or self.trainer.resources

    @property
    def pod_template(self) -> PodTemplate:
        return self.trainer.pod_template.under(self.overrides.pod_template)

    def ranks(self, step: str) -> Ranks:
        """The processes of a step."""
        return Ranks(self.trainer.nodes, max(gpus(self.resources), 1)) if step in self.distributed else Ranks()


STEP_KINDS = ("Job", "ConfigMap", "Service")
"""Kinds of the objects of a step, which all have its Job's name."""


def config_base(spec: HeavyModelSpec, owner: str, run: int, digest: str, seed: int | None = None) -> dict[str, Any]:
    """What the config of every step holds: `StepConfig`'s fields, for one step of one run of `owner`."""
    return {
        "store": store_address(spec.storage),
        "identity": digest,
        "owner": owner,
        "run": run,
        "seed": spec.training.seed if seed is None else seed,
        "device": spec.trainer.device,
    }


def step_objects(
    place: Workplace, name: str, step: str, config: StepConfig, more_labels: Mapping[str, str] | None = None,
    deadline_seconds: int | None = None,
) -> list[Json]:  # fmt: skip
    """The Job that runs `step`, its ConfigMap and, of several pods, their Service; all are called `name`."""
    told = config_map(place, name, step, config, more_labels)
    return [told, *working_objects(place, name, step, config.identity, more_labels, deadline_seconds)]


def working_objects(
    place: Workplace, name: str, step: str, digest: str, more_labels: Mapping[str, str] | None = None,
    deadline_seconds: int | None = None,
) -> list[Json]:  # fmt: skip
    """`step_objects` without the ConfigMap: for a step that goes on with what it was told."""
    named = [headless_service(place.owner, name, step, dict(more_labels or {}))] if place.ranks(step).nodes > 1 else []
    return [*named, job(place, name, step, digest, more_labels, deadline_seconds)]


def config_map(
    place: Workplace, name: str, step: str, config: StepConfig, more_labels: Mapping[str, str] | None
) -> Json:
    data = {"config.json": json.dumps(config.to_json_dict(), sort_keys=True, indent=1)}
    if place.storage.ca_bundle:
        data["ca.crt"] = place.storage.ca_bundle
    annotations = {IDENTITY_ANNOTATION: config.identity}
    # What a running step was told must not change under it.
    return child("ConfigMap", name, place.owner, step, {"data": data, "immutable": True}, more_labels, annotations)


def job(
    place: Workplace, name: str, step: str, digest: str, more_labels: Mapping[str, str] | None,
    deadline_seconds: int | None = None,
) -> Json:  # fmt: skip
    trainer = place.trainer
    more = dict(more_labels or {})
    if trainer.queue_name:
        more[QUEUE_LABEL] = trainer.queue_name
    ranks = place.ranks(step)
    work = container(
        TRAINER,
        trainer.image or place.settings.trainer_image,
        place.settings.image_pull_policy,
        [step, "--config", CONFIG_FILE],
        fitting(place.resources, ranks),
        place.secret,
    )
    work["env"] += environment(name, key_of(place.owner).namespace, ranks)
    pod = pod_spec(work, place.pod_template, place.secret, name)
    pod["restartPolicy"] = "Never"
    if ranks.nodes > 1:
        pod["subdomain"] = name
    # A step that is told to end saves what it needs to resume.
    pod["terminationGracePeriodSeconds"] = 60
    spec: Json = {
        "backoffLimit": trainer.backoff_limit,
        "activeDeadlineSeconds": deadline_seconds or trainer.deadline_seconds,
        "ttlSecondsAfterFinished": place.settings.job_ttl_seconds,
        **suspension(place),
        **indexed(ranks, trainer.backoff_limit),
        # The next pod starts when the last one is gone for good: two would share one step's resume files.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                # In this order: a pod that was preempted may also leave one of our exit codes.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": TRAINER,
                        "operator": "In",
                        "values": sorted(int(code) for code in PERMANENT_EXIT_CODES),
                    },
                },
            ]
        },
        "template": {
            "metadata": pod_metadata(place.owner, place.pod_template, labels(place.owner, step, more_labels)),
            "spec": pod,
        },
    }
    made = {name: value for name, value in spec.items() if name != "suspend"}
    annotations = {IDENTITY_ANNOTATION: digest, MADE_OF_ANNOTATION: identity(spec=made, trust=place.storage.ca_bundle)}
    return child("Job", name, place.owner, step, {"spec": spec}, more, annotations)


def suspension(place: Workplace) -> Json:
    """Whether a Job is held: ours to say without a queue; with one, whoever admits its Jobs says the rest."""
    return {"suspend": place.suspended} if place.suspended or not place.trainer.queue_name else {}


def queue_of(item: Json) -> str | None:
    """Kueue's LocalQueue that admits a Job, where one does."""
    return labels_of(item).get(QUEUE_LABEL)


@dataclass(frozen=True)
class JobState:
    """What a Job came to. `reason` and `message` are for a condition."""

    state: Literal["Absent", "Running", "AwaitingWords", "Succeeded", "Failed", "Held", "Lost", "Deleting"]
    reason: str = ""
    message: str = ""
    termination: Termination | None = None
    stuck: bool = False
    """Running: whether it has no pod that works."""
    ended: datetime | None = None
    """Held, Failed: when it ended, where that is known."""
    is_wordless: bool = False
    """Failed, AwaitingWords: whether no pod says why it failed, since there was none, or none is left."""

    @property
    def is_under_way(self) -> bool:
        return self.state in ("Running", "AwaitingWords")


def conditions_of(item: Json) -> dict[str, Json]:
    """The conditions that hold, by type."""
    found = cast(list[Json], section(item, "status").get("conditions") or [])
    return {str(condition["type"]): condition for condition in found if condition.get("status") == "True"}


def is_finished(item: Json) -> bool:
    return bool(conditions_of(item).keys() & {"Complete", "Failed"})


def judge(found: Json | None, pods: list[Json], now: datetime, heard: Mapping[str, Trouble] | None = None) -> JobState:
    """The state of a step's Job, given all pods of its owner. heard: by uid, what events say of Job and pods.

    Succeeded or Failed also where the step's own container has ended and another one, which somebody put into its pod,
    keeps the pod and with it the Job from ending.

    Held: it ended for what lies around it, such as a store that does not answer; see `surroundings`.

    Lost: it succeeded, but its pod went before anybody read the termination message. Run again, the step finds
    its result in the store and ends at once. AwaitingWords: over, but its pod may still say how it ended.
    """
    if found is None:
        return JobState("Absent")
    if is_deleting(found):
        return JobState("Deleting", Reason.PENDING, "waiting until the Job that was deleted is gone")
    own = pod_words.of_job(pods, found["metadata"]["name"])
    holding = conditions_of(found)
    if "Complete" in holding:
        said = pod_words.termination(own)
        if said is not None and said.status == "Succeeded" and said.result_sha256:
            return JobState("Succeeded", Reason.SUCCEEDED, said.message, said)
        completed = read(
            str(holding["Complete"].get("lastTransitionTime") or section(found, "status")["completionTime"])
        )
        words = pod_words.last_words(own[-1:])
        if words is not None:
            # Told to end, it ended well, and nothing more will come of it.
            return JobState("Lost", words.reason, f"{words.message}; it runs again")
        if now - completed < LOST_MESSAGE_AFTER:
            return JobState("AwaitingWords", Reason.RUNNING, AWAITING_WORDS)
        return JobState("Lost", Reason.PENDING, "the Job's pod is gone before its message was read; it runs again")
    if "Failed" in holding:
        if may_still_say_why(holding["Failed"], own, now):
            end = _failed(found, holding["Failed"], own)
            return replace(end, state="AwaitingWords", reason=Reason.RUNNING, message=AWAITING_WORDS)
        return _failed(found, holding["Failed"], own)
    beside = pod_words.outlived(own, now)
    if beside is not None:
        return _outlived(found, own, beside)
    queue = queue_of(found)
    if queue and section(found, "spec").get("suspend"):
        return JobState(
            "Running",
            Reason.QUEUED,
            f"Job {found['metadata']['name']} waits for admission by queue {queue} (trainer.queueName); "
            f"`kubectl describe localqueue {queue}` says what it holds, and a Job that no Kueue sees waits for ever",
        )
    trouble = held_up(own, now, heard) or _without_pods(found, own, now, heard or {})
    if trouble is not None:
        stuck = trouble.reason != Reason.NODE_UNREACHABLE
        return JobState("Running", trouble.reason, trouble.message, stuck=stuck)
    # A disruption is not counted by the Job, and is an attempt all the same.
    ended = [pod for pod in own if section(pod, "status").get("phase") == "Failed"]
    attempts = max(int(section(found, "status").get("failed") or 0), len(ended))
    if attempts:
        words = pod_words.last_words(ended or own)
        said = f": {words.message}" if words else ""
        return JobState("Running", Reason.RUNNING, f"attempt {attempts + 1}; the last one failed{said}")
    return JobState("Running", Reason.RUNNING, f"Job {found['metadata']['name']} is under way")


def wants_pods(job: Json, pods: list[Json]) -> bool:
    """Whether a Job that is under way has fewer pods, of those it is given here, than should run."""
    spec = section(job, "spec")
    if is_finished(job) or is_deleting(job) or spec.get("suspend"):
        return False
    return sum(not pod_words.is_over(pod) for pod in pods) < int(spec.get("parallelism") or 1)


def _without_pods(job: Json, pods: list[Json], now: datetime, heard: Mapping[str, Trouble]) -> Trouble | None:
    """Why a Job has no pod: quota, Pod Security, a missing account or class stand in its events alone."""
    if not wants_pods(job, pods):
        return None
    name, words = job["metadata"]["name"], heard.get(uid_of(job))
    if words is not None:
        return Trouble(Reason.REFUSED, f"Job {name} can't make its pod ({words.reason}): {words.message}")
    since = section(job, "status").get("startTime") or section(job, "metadata").get("creationTimestamp")
    if pods or since is None or now - read(str(since)) < NO_POD_AFTER:
        return None
    return Trouble(Reason.PENDING, f"Job {name} has no pod since {since}, and no event says why")


def _outlived(job: Json, pods: list[Json], beside: str) -> JobState:
    said = pod_words.termination(pods[-1:])
    if said is not None and said.status == "Succeeded" and said.result_sha256:
        return JobState("Succeeded", Reason.SUCCEEDED, said.message, said)
    words = pod_words.last_words(pods[-1:]) or Trouble(Reason.STEP_FAILED, "the step ended without a result")
    kept = f"; container {beside} of its pod runs on, so that Job {job['metadata']['name']} can't try again"
    state = "Held" if is_around(words.reason) else "Failed"
    return JobState(state, words.reason, shortened(words.message, MESSAGE_LIMIT - len(kept)) + kept)


def may_still_say_why(failed: Json, pods: list[Json], now: datetime) -> bool:
    """Whether the end of a failed Job's newest pod is still to be seen. At its deadline a Job's pods are removed."""
    since = failed.get("lastTransitionTime")
    if failed.get("reason") == "DeadlineExceeded" or since is None or pod_words.newest_has_ended(pods):
        return False
    return now - read(str(since)) < LOST_MESSAGE_AFTER


def _failed(found: Json, condition: Json, pods: list[Json]) -> JobState:
    words = pod_words.last_words(pods)
    name, reason, said = found["metadata"]["name"], str(condition.get("reason") or ""), condition.get("message")
    since = condition.get("lastTransitionTime")
    ended = read(str(since)) if since else None
    if reason == "DeadlineExceeded":
        return JobState(
            "Failed", Reason.DEADLINE_EXCEEDED, f"Job {name}: {said or reason}", ended=ended, is_wordless=True
        )
    if words is None:
        known = Reason.BACKOFF_LIMIT_EXCEEDED if reason == "BackoffLimitExceeded" else Reason.STEP_FAILED
        return JobState("Failed", known, f"Job {name} failed: {said or reason}", ended=ended, is_wordless=True)
    around = is_around(words.reason) and pod_words.exit_code(pods[-1:]) not in _OF_THE_DATA
    state = "Held" if around or pod_words.ended_by_the_cluster(pods) else "Failed"
    return JobState(state, words.reason, words.message, ended=ended)
