"""Steps that several processes share: Indexed Jobs, what their pods are told, and what is refused."""

import json
from datetime import timedelta
from typing import Any

import pytest

from longtail_api.methods import METHODS, MethodApi
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.objects import Json
from longtail_operator.kubernetes.pods import last_words
from tests.unit.heavy_model_story import Model, member
from tests.unit.operator_builders import Story, a_heavy_model, a_pod, initialized

GPUS = "nvidia.com/gpu"


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method like ALT, without a step that several processes can share."""
    alt = METHODS["ALT"]
    monkeypatch.setitem(METHODS, "ALT", MethodApi("ALT", alt.configs, alt.refuses))


def a_model(**trainer: Any) -> Model:
    model = Model(member("a"))
    model.spec = a_heavy_model(trainer=trainer)
    return model


def initialization(**trainer: Any) -> dict[str, Json]:
    """The objects of the initialize step, by kind."""
    model = a_model(**trainer)
    model.settle()
    return {key.kind: item for key, item in model.children.items()}


def container_of(job: Json) -> Json:
    return job["spec"]["template"]["spec"]["containers"][0]


def environment_of(job: Json) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container_of(job)["env"]}


def test_a_step_on_several_nodes_is_an_indexed_job_whose_pods_find_each_other():
    found = initialization(nodes=3, resources={"limits": {GPUS: 2}}, backoffLimit=2)
    job, service = found["Job"], found["Service"]
    name = job["metadata"]["name"]
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["backoffLimit"] == 6, "a rank that is lost takes two others with it"
    assert service["metadata"]["name"] == name == spec["template"]["spec"]["subdomain"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": name}
    told = environment_of(job)
    assert told["LONGTAIL_PROCESSES"] == "6"
    assert (told["PET_NNODES"], told["PET_NPROC_PER_NODE"]) == ("3", "2")
    assert told["PET_MASTER_ADDR"] == f"{name}-0.{name}.shop.svc"
    assert "job-completion-index" in told["PET_NODE_RANK"]["fieldRef"]["fieldPath"]
    assert container_of(job)["args"][0] == "initialize"


def test_a_step_is_told_what_to_train_on():
    found = initialization(device="Cuda")
    assert json.loads(found["ConfigMap"]["data"]["config.json"])["device"] == "Cuda"


def test_several_gpus_of_one_node_are_one_pod_of_as_many_processes():
    found = initialization(resources={"limits": {GPUS: 4}})
    assert "Service" not in found
    assert "completionMode" not in found["Job"]["spec"]
    told = environment_of(found["Job"])
    assert (told["LONGTAIL_PROCESSES"], told["PET_NODE_RANK"], told["PET_MASTER_ADDR"]) == ("4", "0", "localhost")


def test_a_step_of_one_process_is_told_nothing_and_reserves_one_gpu():
    alone = initialization()
    assert not [name for name in environment_of(alone["Job"]) if name.startswith(("PET_", "LONGTAIL_"))]
    story = Story(initialized(a_heavy_model(trainer={"nodes": 2, "resources": {"limits": {GPUS: 4}}})), serving={})
    story.settle()
    job = story.job("prepare")
    assert "completionMode" not in job["spec"]
    assert container_of(job)["resources"]["limits"] == {GPUS: "1"}
    assert "LONGTAIL_PROCESSES" not in environment_of(job)


def test_the_service_stays_as_long_as_its_job():
    model = a_model(nodes=2)
    model.settle()
    model.now += timedelta(seconds=1)
    assert not model.settle().deletions
    assert {key.kind for key in model.children} == {"Job", "ConfigMap", "Service"}


@pytest.mark.usefixtures("unshared")
@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ({"nodes": 2}, "trainer.nodes: no step of method ALT trains on several nodes; set it to 1"),
        ({"resources": {"limits": {GPUS: 2}}}, "no step of method ALT trains on several GPUs"),
    ],
)
def test_more_processes_than_any_step_can_share_are_refused(trainer: dict[str, Any], words: str):
    model = a_model(**trainer)
    model.settle()
    assert not model.children
    assert model.condition("Ready") == ("False", "InvalidSpec")
    assert words in model.message("Ready")


def test_a_scenario_that_asks_for_several_gpus_is_refused():
    story = Story(trainer={"resources": {"limits": {GPUS: 2}}})
    story.settle()
    assert story.condition("Ready") == ("False", "InvalidSpec")
    assert "no step of a Scenario trains on several GPUs" in story.message("Ready")


def test_of_ranks_that_end_together_the_one_that_says_why_is_heard():
    job: Json = {"metadata": {"name": "shared-initialize"}}
    said = Termination(status="Failed", reason="DataInvalid", message="the table is empty")
    texts = ["", said.model_dump_json(by_alias=True), ""]
    pods = [a_pod(job, {"terminated": {"exitCode": 1, "reason": "Error", "message": text}}) for text in texts]
    for number, pod in enumerate(pods):
        pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] = str(number)
    words = last_words(pods)
    assert words is not None
    assert (words.reason, words.message) == ("DataInvalid", "the table is empty")
