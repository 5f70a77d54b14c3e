"""podTemplate: what it adds to the pods of training, of the check and of serving."""

from typing import Any

import pytest

from longtail_operator.kubernetes.objects import Json, Key
from tests.unit.heavy_model_story import Model
from tests.unit.operator_builders import Story, a_heavy_model, initialized

EVERYTHING: Json = {
    "labels": {"team": "ads"},
    "annotations": {"example.com/note": "yes"},
    "nodeSelector": {"gpu": "yes"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "low",
    "serviceAccountName": "reader",
    "imagePullSecrets": [{"name": "registry"}],
    "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "cache", "readOnly": False}}],
    "volumeMounts": [{"name": "cache", "mountPath": "/cache", "readOnly": True}],
    "securityContext": {"runAsUser": 1000},
}
PASSED_ON = (
    "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName", "serviceAccountName",
    "imagePullSecrets",
)  # fmt: skip


def training(shared: Json | None = None, own: Json | None = None, storage: Json | None = None, **metadata: Any) -> Json:
    """The pod template of a Scenario's first Job: what its HeavyModel says, and what it says itself."""
    trainer = {"podTemplate": shared or {}}
    story = Story(
        initialized(a_heavy_model(trainer=trainer, storage={"uri": "s3://store/shared", **(storage or {})})),
        trainer={"podTemplate": own or {}},
    )
    story.settle()
    return story.job("prepare")["spec"]["template"]


FOLDER = {"volumes": [{"name": "store", "emptyDir": {}}], "volumeMounts": [{"name": "store", "mountPath": "/mnt/"}]}


@pytest.mark.parametrize(
    ("shared", "own", "served", "samples", "words"),
    [
        (FOLDER, {}, FOLDER, "file:///mnt/tables", None),
        ({}, FOLDER, FOLDER, "s3://warehouse/samples", None),
        ({}, {}, FOLDER, "s3://warehouse/samples", "file:///mnt/a%20store is a folder where trainer.podTemplate"),
        (FOLDER, {}, FOLDER, "file:///mnt2/tables", "file:///mnt2/tables is a folder where trainer.podTemplate"),
        (FOLDER, {}, {}, "s3://warehouse/samples", "is a folder where serving.podTemplate mounts no volume; give it"),
    ],
)
def test_a_folder_where_no_volume_is_mounted_is_refused_by_name(
    shared: Json, own: Json, served: Json, samples: str, words: str | None
):
    model = a_heavy_model(storage={"uri": "file:///mnt/a%20store"}, trainer={"podTemplate": shared})
    story = Story(
        initialized(model),
        trainer={"podTemplate": own},
        data={"samples": samples},
        serving={"slo": {"p99Milliseconds": 20}, "podTemplate": served},
    )
    story.settle()
    assert (story.condition("Ready")[1] == "InvalidSpec") is (words is not None)
    assert bool(story.children) is (words is None)
    assert (words or "") in story.message("Ready")


@pytest.mark.parametrize(("uri", "refused"), [("file:///mnt/store", False), ("file:///elsewhere", True)])
def test_a_heavy_model_whose_own_jobs_cant_have_its_store_says_so(uri: str, refused: bool):
    model = Model()
    model.spec = a_heavy_model(storage={"uri": uri}, trainer={"podTemplate": FOLDER})
    model.settle()
    assert (model.condition("Ready")[1] == "InvalidSpec") is refused
    assert model.condition("StoreReady") == ("True", "Succeeded")


def serving(given: Json, secret: bool = False) -> tuple[Json, Json]:
    """The pod templates of the server and of the check."""
    storage = {"uri": "s3://store/shared"} | ({"credentialsSecretRef": {"name": "keys"}} if secret else {})
    story = Story(
        initialized(a_heavy_model(storage=storage)), serving={"slo": {"p99Milliseconds": 20}, "podTemplate": given}
    )
    story.trained().answers().settle()
    server = story.children[Key("Deployment", "shop", "spring-v1")]
    return server["spec"]["template"], story.job("check")["spec"]["template"]


def pods_with_everything() -> list[Any]:
    server, check = serving(EVERYTHING)
    return [
        pytest.param(training(shared=EVERYTHING), id="training"), pytest.param(training(own=EVERYTHING), id="override"),
        pytest.param(server, id="serving"), pytest.param(check, id="check"),
    ]  # fmt: skip


@pytest.mark.parametrize("template", pods_with_everything())
def test_everything_in_it_reaches_the_pod(template: Json):
    pod = template["spec"]
    assert template["metadata"]["labels"]["team"] == "ads"
    assert template["metadata"]["annotations"]["example.com/note"] == "yes"
    assert {field: pod[field] for field in PASSED_ON} == {field: EVERYTHING[field] for field in PASSED_ON}
    assert pod["volumes"][-1] == {"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "cache", "mountPath": "/cache", "readOnly": True}
    assert pod["securityContext"]["runAsUser"] == 1000


@pytest.mark.parametrize("template", pods_with_everything())
def test_what_the_operator_knows_a_pod_by_stays(template: Json):
    assert template["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "longtail"
    assert template["metadata"]["annotations"]["longtail.dev/owner"] == "Scenario/spring"
    assert template["spec"]["volumes"][0] == {"name": "tmp", "emptyDir": {}}


def test_a_scenario_adds_labels_and_replaces_the_rest():
    shared = {"labels": {"team": "ads", "cost": "1"}, "tolerations": [{"key": "a"}], "priorityClassName": "low"}
    template = training(shared, {"labels": {"cost": "2"}, "tolerations": [{"key": "b"}]})
    assert template["metadata"]["labels"].items() >= {"team": "ads", "cost": "2"}.items()
    assert [one["key"] for one in template["spec"]["tolerations"]] == ["b"]
    assert template["spec"]["priorityClassName"] == "low"


def test_without_a_word_user_and_group_are_ours_and_with_an_empty_one_the_namespaces():
    assert training()["spec"]["securityContext"]["runAsUser"] == 65532
    left_out = training({"securityContext": {}})["spec"]["securityContext"]
    assert left_out == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert training({"securityContext": {"fsGroup": 7}}, {"securityContext": {}})["spec"]["securityContext"] == left_out


def test_without_a_secret_every_pod_has_the_token_of_its_account_and_with_one_none_has():
    assert "automountServiceAccountToken" not in training()["spec"]
    assert all("automountServiceAccountToken" not in template["spec"] for template in serving({}))
    keys = {"credentialsSecretRef": {"name": "keys"}}
    assert training(storage=keys)["spec"]["automountServiceAccountToken"] is False
    assert all(one["spec"]["automountServiceAccountToken"] is False for one in serving({}, secret=True))
    assert "automountServiceAccountToken" not in training({"serviceAccountName": "reader"}, storage=keys)["spec"]
