"""The chart under any legal name, version and values: what is rendered is legal, or a value is refused by its name."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import (
    CHART,
    Json,
    Refused,
    copied_with,
    deployment,
    objects,
    only,
    parent_of,
    pod,
    rendered,
)

pytestmark = pytest.mark.api  # needs the programs that tests/devcluster builds

LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
IMAGE = re.compile(r"[a-z0-9./-]+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def assert_legal(found: list[Json]) -> None:
    """As the API server would judge names, labels and annotations."""
    assert found
    for one in found:
        assert NAME.fullmatch(one["metadata"]["name"])
        about = [one["metadata"], one.get("spec", {}).get("template", {}).get("metadata", {})]
        for metadata in about:
            for value in metadata.get("labels", {}).values():
                assert isinstance(value, str)
                assert LABEL_VALUE.fullmatch(value), value
            assert all(isinstance(value, str) for value in metadata.get("annotations", {}).values())
        if one["kind"] == "Deployment":
            (container,) = one["spec"]["template"]["spec"]["containers"]
            images = [container["image"], *(v["value"] for v in container["env"] if v["name"].endswith("_IMAGE"))]
            assert all(IMAGE.fullmatch(image) for image in images), images
            selector = one["spec"]["selector"]["matchLabels"]
            assert selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
            assert all(isinstance(variable.get("value", ""), str) for variable in container["env"])


@pytest.mark.parametrize("field", ["version", "appVersion"])
@pytest.mark.parametrize("value", ["0.1.0+5f78ced", "0.1.0-rc.1+build.2024-01-15", "0.1.0+" + "a" * 200, "0.1.0+a.-",
                                   "0.1.0-" + "b" * 40 + ".-+c"])  # fmt: skip
def test_any_version_gives_legal_labels_and_tags(tmp_path: Path, field: str, value: str):
    assert_legal(objects(rendered(chart=copied_with(tmp_path, **{field: value}))))


@pytest.mark.parametrize(
    "release",
    ["a.b", "1", "1e5", "007", "true", "null", "a" * 53, "a" * 44 + ".b", "a" * 43 + "-b.c", "longtail.x", "0x1f"],
)
def test_any_legal_name_of_a_release_gives_legal_objects(release: str):
    assert_legal(objects(rendered(release=release)))


@pytest.mark.parametrize("alias", ["lt", "Long_Tail", "_hidden_", "UPPER", "longtail-2"])
def test_under_any_alias_it_is_a_part_of_another_chart(tmp_path: Path, alias: str):
    values = {alias: {"enabled": True, "crds": {"enabled": False}}, "tags": {"models": True}, "global": {"a": {"b": 1}}}
    parent = parent_of(copied_with(tmp_path), values, alias=alias, condition=f"{alias}.enabled")
    assert_legal(objects(rendered(chart=parent)))


def test_a_part_that_is_not_enabled_is_left_out(tmp_path: Path):
    parent = parent_of(copied_with(tmp_path), {"longtail": {"enabled": False}}, condition="longtail.enabled")
    assert objects(rendered(chart=parent, crds=True)) == []


def test_enabled_false_without_a_parents_condition_is_refused():
    with pytest.raises(Refused, match="enabled: false is for a parent chart"):
        rendered({"enabled": False})


def test_it_renders_the_same_twice_and_has_no_hooks():
    text = rendered(crds=True)
    assert text == rendered(crds=True)
    assert "helm.sh/hook" not in text


def test_templates_ask_no_cluster_and_draw_no_random_numbers():
    for file in (CHART / "templates").iterdir():
        assert not re.search(
            r"\b(lookup|rand\w+|genCA|genSigned\w*|genPrivateKey|uuidv4|now|htpasswd)\b", file.read_text()
        )


def test_definitions_are_kept_by_helm_and_by_argo_cd_unless_they_shall_go():
    def annotations(values: Json) -> list[Json]:
        found = objects(rendered(values, crds=True))
        return [one["metadata"].get("annotations", {}) for one in found if one["kind"] == "CustomResourceDefinition"]

    kept = annotations({})
    assert len(kept) == 3
    for one in kept:
        assert one["helm.sh/resource-policy"] == "keep"
        assert one["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
    assert not any("keep" in one.values() or "argocd" in str(one) for one in annotations({"crds": {"keep": False}}))


def test_services_beside_the_operator_are_no_variables_of_it():
    assert pod()["enableServiceLinks"] is False


def operator(**values: Any) -> Json:
    return {"operator": values}


REFUSED: list[tuple[Json, str]] = [
    ({"nameOverride": "Long.Tail"}, "nameOverride"),
    ({"fullnameOverride": "-a"}, "fullnameOverride"),
    ({"fullnameOverride": "a" * 54}, "fullnameOverride"),
    ({"serviceAccount": {"name": "My_Account"}}, "serviceAccount/name"),
    ({"colour": "red"}, "colour"),
    ({"image": {"operator": {"tag": 1.10}}}, "image/operator/tag"),
    ({"image": {"operator": {"tag": 20240115}}}, "image/operator/tag"),
    ({"image": {"trainer": None}}, "trainer"),
    ({"operator": None}, "operator"),
    ({"crds": {"enabled": None}}, "enabled"),
    ({"crds": {"enabled": "false"}}, "crds/enabled"),
    ({"rbac": {"create": None}}, "create"),
    (operator(workers=None), "workers"),
    (operator(podAnnotations={"a": True}), "operator/podAnnotations/a"),
    (operator(nodeSelector={"gpu": True}), "operator/nodeSelector/gpu"),
    (operator(env=[{"name": "A", "value": 1}]), "operator/env/0/value"),
    (operator(env=[{"name": "A", "valu": "1"}]), "operator/env/0"),
    (operator(env=[{"name": "LONGTAIL_LOG_LEVEL", "value": "DEBUG"}]), "LONGTAIL_LOG_LEVEL is what operator.logLevel"),
    (operator(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), "operator.env: A is there twice"),
    (operator(podLabels={"app.kubernetes.io/name": "ads"}), "operator.podLabels: app.kubernetes.io/name"),
]


@pytest.mark.parametrize(("values", "named"), REFUSED, ids=[str(values) for values, _ in REFUSED])
def test_a_value_that_can_not_be_used_is_refused_by_its_name(values: Json, named: str):
    with pytest.raises(Refused, match=re.escape(named)):
        rendered(values)


@pytest.mark.parametrize(
    "values",
    [
        {"nameOverride": "a.b"},
        {"fullnameOverride": "f" * 53},
        {"image": {"operator": {"tag": "1.10"}, "trainer": {"tag": "1e5"}, "serving": {"tag": "20240115"}}},
        {"image": {"operator": {"tag": None}}, "global": {}},
        {"image": {"pullSecrets": None}, "namespaces": None},
        {"namespaces": ["007", "1e5", "true"]},
        operator(resources={}, nodeSelector={}, tolerations=[], affinity={}, podLabels={}, podAnnotations={}, env=[]),
        operator(resources=None, nodeSelector=None, tolerations=None, affinity=None, podLabels=None, env=None),
        operator(podAnnotations=None, priorityClassName="1e5"),
        operator(podAnnotations={"prometheus.io/scrape": "false", "yes": "no"}, podLabels={"helm.sh/chart": "1.10"}),
        operator(env=[{"name": "NO", "value": "1e5"}, {"name": "B", "value": "line one\nline: two"}]),
        {"serviceAccount": {"create": False, "name": "1e5"}},
        {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}}},
    ],
    ids=str,
)
def test_legal_values_that_look_odd_give_legal_objects(values: Json):
    assert_legal(objects(rendered(values)))


def test_every_variable_that_the_chart_sets_is_named_where_the_values_repeat_it():
    (container,) = pod()["containers"]
    for variable in container["env"]:
        with pytest.raises(Refused, match=f"{variable['name']} is what (image|operator)"):
            rendered(operator(env=[{"name": variable["name"], "value": "x"}]))


def test_the_operator_is_told_which_stores_it_may_open_as_itself():
    def told(**values: Any) -> str:
        (container,) = pod(operator(**values))["containers"]
        return next(one["value"] for one in container["env"] if one["name"] == "LONGTAIL_ALLOWED_STORES")

    assert told() == ""
    assert told(allowedStores=["s3://models/ads", "file:///mnt/store"]) == "s3://models/ads,file:///mnt/store"
    with pytest.raises(Refused, match="operator/allowedStores/0"):
        rendered(operator(allowedStores=["models/ads"]))


def test_user_and_group_of_the_operators_pod_can_be_left_to_the_namespace_or_chosen():
    def context(**values: Any) -> Json:
        return pod(operator(**values))["securityContext"]

    standard = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    ids = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}
    assert context() == standard | ids
    assert context(podSecurityContext={}) == standard
    chosen = {"runAsUser": 1000680000, "runAsNonRoot": False}
    assert context(podSecurityContext=chosen) == standard | chosen


def test_the_operator_mounts_the_volumes_of_stores_that_are_folders():
    assert [volume["name"] for volume in pod()["volumes"]] == ["tmp"]
    claim = {"name": "stores", "persistentVolumeClaim": {"claimName": "stores"}}
    mount = {"name": "stores", "mountPath": "/mnt/stores"}
    given = pod(operator(volumes=[claim], volumeMounts=[mount]))
    assert claim in given["volumes"]
    assert mount in given["containers"][0]["volumeMounts"]


def test_what_the_values_say_of_annotations_and_labels_wins():
    values = operator(podAnnotations={"prometheus.io/scrape": "false"}, podLabels={"app.kubernetes.io/version": "mine"})
    metadata = deployment(values)["spec"]["template"]["metadata"]
    assert metadata["annotations"]["prometheus.io/scrape"] == "false"
    assert metadata["annotations"]["prometheus.io/port"] == "8080"
    assert metadata["labels"]["app.kubernetes.io/version"] == "mine"


def test_two_parts_of_one_chart_do_not_meet(tmp_path: Path):
    def names(alias: str) -> set[str]:
        values = {alias: {"crds": {"enabled": False}}}
        parent = parent_of(copied_with(tmp_path / alias), values, alias=alias)
        return {one["metadata"]["name"] for one in objects(rendered(chart=parent))}

    assert not names("first") & names("second")


def test_the_accounts_rights_are_bound_to_it_under_any_name():
    found = objects(rendered({"serviceAccount": {"name": "mine"}, "fullnameOverride": "other"}))
    account, binding = only(found, "ServiceAccount"), only(found, "ClusterRoleBinding")
    (subject,) = binding["subjects"]
    assert subject["name"] == account["metadata"]["name"] == "mine"
    assert binding["roleRef"]["name"] == only(found, "ClusterRole")["metadata"]["name"] == "other"
