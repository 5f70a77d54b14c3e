"""What a valid request is: the server names the input and the reason, and answers 400, never 500."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from longtail_serving.model import rows_of_a_slice
from longtail_serving.served import Served
from tests.serving.asgi_app import (
    AGE,
    INFER,
    ITEM,
    LENGTH,
    LIMITS,
    PRICE,
    ROWS,
    SLOT,
    App,
    Json,
    a_request,
    changed,
    dropped,
    score,
    serving_app,
    without,
)
from tests.serving.tiny_model import LABEL, LONGEST, NAME, graph, row_inputs


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Generator[App]:
    with serving_app(tmp_path_factory.mktemp("store")) as result:
        yield result


WRONG: list[tuple[str, Callable[[], Json], str, str]] = [
    ("a missing input", lambda: without(AGE), AGE, "missing"),
    ("an unknown input", lambda: {"inputs": [*a_request()["inputs"], {"name": "x"}]}, "x", "unknown"),
    ("an input twice", lambda: {"inputs": a_request()["inputs"] * 2}, SLOT, "twice"),
    ("another datatype", lambda: changed(AGE, datatype="FP64"), AGE, "this model takes FP32"),
    ("no datatype", lambda: changed(AGE, datatype=None), AGE, "datatype"),
    ("no shape", lambda: changed(AGE, shape=None), AGE, "shape"),
    ("a shape of words", lambda: changed(AGE, shape=["1"]), AGE, "shape"),
    ("a shape of booleans", lambda: changed(AGE, shape=[True]), AGE, "shape"),
    ("a negative size", lambda: changed(AGE, shape=[-1]), AGE, "[batch]"),
    ("a shape of other rank", lambda: changed(ITEM, shape=[2]), ITEM, "[batch, length]"),
    ("a huge shape", lambda: changed(AGE, shape=[10**30]), AGE, "takes"),
    ("a batch of no rows", lambda: changed(AGE, shape=[0], data=[]), AGE, "no rows"),
    ("too few values", lambda: changed(ITEM, data=["a"]), ITEM, "data has 1 values"),
    ("too many values", lambda: changed(AGE, data=[1, 2]), AGE, "data has 2 values"),
    ("data that is no array", lambda: changed(AGE, data="1.5"), AGE, "data must be an array"),
    ("no data", lambda: {"inputs": [dropped(t, "data") for t in a_request()["inputs"]]}, SLOT, "data is missing"),
    ("another batch size", lambda: changed(AGE, shape=[2], data=[1, 2]), AGE, "a batch of 2"),
    ("another sequence length", lambda: changed(PRICE, shape=[1, 1], data=[1]), PRICE, "1 events wide"),
    ("a length beyond the width", lambda: changed(LENGTH, data=[3]), LENGTH, "must be 0 to 2"),
    ("a negative length", lambda: changed(LENGTH, data=[-1]), LENGTH, "must be 0 to 2"),
    ("a fractional length", lambda: changed(LENGTH, data=[1.0]), LENGTH, "integers"),
    ("a null length", lambda: changed(LENGTH, data=[None]), LENGTH, "integers"),
    ("a length beyond INT64", lambda: changed(LENGTH, data=[2**70]), LENGTH, "INT64"),
    ("more events than the model takes", lambda: a_request(width=LONGEST + 1), ITEM, f"at most {LONGEST}"),
    ("text for a number", lambda: changed(AGE, data=["1.5"]), AGE, "data[0]"),
    ("a boolean for a number", lambda: changed(AGE, data=[True]), AGE, "data[0]"),
    ("an object for a number", lambda: changed(AGE, data=[{}]), AGE, "data[0]"),
    ("a number for text", lambda: changed(SLOT, data=[7]), SLOT, "data[0] is 7"),
    ("a number beyond FP32", lambda: changed(AGE, data=[1e39]), AGE, "FP32"),
    ("a number beyond FP64", lambda: changed(AGE, data=[10**400]), AGE, "FP32"),
    ("half a surrogate pair", lambda: changed(SLOT, data=["\ud800"]), SLOT, "surrogate"),
    ("rows of unequal length", lambda: changed(ITEM, data=[["a"]]), ITEM, "2 values in every row"),
    ("more nested rows than the shape has", lambda: changed(ITEM, data=[["a", "b"]] * 2), ITEM, "2 nested rows"),
    ("deeper nesting than the shape has", lambda: changed(AGE, data=[[1.0]]), AGE, "data[0]"),
    ("flat and nested data mixed", lambda: changed(ITEM, shape=[2, 1], data=[["a"], "b"]), ITEM, "in every row"),
    ("no inputs", lambda: {}, "inputs", "missing"),
    ("inputs that are no array", lambda: {"inputs": {}}, "inputs", "array"),
    ("an input that is no object", lambda: {"inputs": [1]}, "inputs[0]", "object"),
    ("an input without a name", lambda: {"inputs": [{}]}, "inputs[0]", "name"),
    ("an unknown output", lambda: a_request() | {"outputs": [{"name": "y"}]}, "output 'y'", LABEL),
    ("an output that is no object", lambda: a_request() | {"outputs": ["click"]}, "outputs[0]", "object"),
    ("an id that is no string", lambda: a_request() | {"id": 7}, "id", "string"),
    ("an array for a body", lambda: [], "body", "object"),  # pyright: ignore[reportArgumentType, reportReturnType]
]  # fmt: skip


@pytest.mark.parametrize(("make", "where", "reason"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_request_gets_400_with_the_inputs_name_and_the_reason(
    app: App, make: Callable[[], Json], where: str, reason: str
):
    response = app.infer(make())
    assert response.status_code == 400
    assert where in response.json()["error"]
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'{"inputs": [NaN]}', "NaN"),
        (b'{"inputs": [-Infinity]}', "Infinity"),
        (b"[" * 4_000, "nested"),
        (b"9" * 5_000, "no JSON"),
    ],
)
def test_a_body_that_is_no_json_gets_400(app: App, body: bytes, reason: str):
    response = app.request("POST", INFER, body)
    assert response.status_code == 400
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (b" " * 100_001, "100000 bytes (--max-body-bytes)"),
        (json.dumps(a_request(rows=ROWS + 1)).encode(), f"at most {ROWS} (--max-rows)"),
        (b"[" + b"[]," * 3000 + b"[]]", "at most 5000 (--max-values)"),
        (b"{" * 5001, "at most 5000 (--max-values)"),
    ],
    ids=["bytes", "rows", "values", "objects"],
)
def test_a_request_beyond_a_limit_gets_413_and_the_limit(app: App, body: bytes, limit: str):
    response = app.request("POST", INFER, body)
    assert response.status_code == 413
    assert limit in response.json()["error"]


def test_the_largest_batch_is_answered(app: App):
    assert len(score(app.infer(a_request(rows=ROWS)))) == ROWS


def test_a_batch_that_goes_through_the_graph_in_slices_scores_as_its_rows_do(app: App, monkeypatch: pytest.MonkeyPatch):
    content = a_request(rows=20)
    content["inputs"][1]["data"] = list(range(20))
    whole = score(app.infer(content))
    monkeypatch.setattr("longtail_serving.model._SLICE_EVENTS", 14)  # seven rows of two events
    assert score(app.infer(content)) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize(("width", "rows"), [(0, 16_384), (1, 16_384), (50, 327), (100, 104), (5000, 1)])
def test_a_slice_is_bounded_in_events_and_in_what_attention_makes_of_them(width: int, rows: int):
    assert rows_of_a_slice(width) == rows


def test_a_server_that_would_refuse_the_next_request_says_that_it_is_not_ready(tmp_path: Path):
    may_go_on = threading.Event()
    with serving_app(tmp_path, limits=replace(LIMITS, requests=1)) as full:
        model = full.served.model
        assert model is not None
        answer = model.scores
        model.scores = lambda arrays, outputs: answer(arrays, outputs) if may_go_on.wait(20) else []

        async def ask_meanwhile() -> tuple[list[int], str, int]:
            under_way = asyncio.create_task(full.ask("POST", INFER, json.dumps(a_request()).encode()))
            while "requests_in_flight 1.0" not in (await full.ask("GET", "/metrics")).text:
                await asyncio.sleep(0.01)
            paths = ("/v2/health/live", "/v2/health/ready", f"/v2/models/{NAME}/ready")
            meanwhile = [(await full.ask("GET", path)).status_code for path in paths]
            refused = await full.ask("POST", INFER, json.dumps(a_request()).encode())
            may_go_on.set()
            return [*meanwhile, refused.status_code], refused.json()["error"], (await under_way).status_code

        statuses, reason, first = asyncio.run(ask_meanwhile())
        assert statuses == [200, 503, 503, 503]
        assert reason == "1 requests are under way already; ask again in a moment"
        assert first == 200
        assert full.request("GET", "/v2/health/ready").status_code == 200


def test_binary_tensors_are_refused_by_name(app: App):
    response = app.request("POST", INFER, b"{}...", **{"inference-header-content-length": "2"})
    assert response.status_code == 400
    assert "binary" in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/models/other/infer", 404),
        ("POST", f"/v2/models/{NAME}/versions/v2/infer", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", f"/v2/models/{NAME}/versions/v2/ready", 404),
        ("GET", "/elsewhere", 404),
        ("GET", INFER, 405),
    ],
)
def test_what_is_not_here_gets_an_error_in_json(app: App, method: str, path: str, status: int):
    response = app.request(method, path, b"{}" if method == "POST" else None)
    assert response.status_code == status
    assert response.json()["error"]


def test_the_score_is_the_models(app: App):
    # slot 2 + 0.1 · age 10 + item 0.5 + 0.01 · price 50 = 4
    inputs = [tensor.model_dump(mode="json") for tensor in row_inputs("top", 10.0, ("a",), (50.0,))]
    assert score(app.infer({"inputs": inputs})) == pytest.approx([1 / (1 + 2.718281828**-4)], abs=1e-6)


def test_the_answer_echoes_id_and_names_model_and_version(app: App):
    answer = app.infer(a_request() | {"id": "request-7", "parameters": {"x": 1}}).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("request-7", NAME, "v3")
    assert answer["outputs"][0]["name"] == LABEL
    assert answer["outputs"][0]["shape"] == [1]


def test_the_versions_own_path_answers_alike(app: App):
    body = json.dumps(a_request()).encode()
    versioned = app.request("POST", f"/v2/models/{NAME}/versions/v3/infer", body)
    assert versioned.json() == app.request("POST", INFER, body).json()


def test_nested_data_scores_as_flat_data_does(app: App):
    flat, nested = a_request(rows=3), a_request(rows=3)
    for tensor in nested["inputs"]:
        if len(tensor["shape"]) == 2:
            values = iter(tensor["data"])
            tensor["data"] = [[next(values), next(values)] for _ in range(3)]
    assert score(app.infer(nested)) == score(app.infer(flat))


def test_null_is_a_missing_number_and_a_missing_category(app: App):
    assert score(app.infer(changed(AGE, data=[None]))) == score(app.infer(changed(AGE, data=[0])))
    assert score(app.infer(changed(SLOT, data=[None]))) == score(app.infer(changed(SLOT, data=[""])))


def test_a_row_without_events_scores_as_one_of_length_zero_does(app: App):
    none = a_request(width=0)
    masked = changed(LENGTH, data=[0])
    assert score(app.infer(none)) == score(app.infer(masked))


def test_rows_of_a_batch_score_as_they_do_alone(app: App):
    both = a_request(rows=2)
    for tensor in both["inputs"]:
        if tensor["name"] == AGE:
            tensor["data"] = [1.0, -20.0]
    alone = [score(app.infer(changed(AGE, data=[age])))[0] for age in (1.0, -20.0)]
    assert score(app.infer(both)) == pytest.approx(alone, abs=1e-6)


def test_metadata_has_the_models_inputs_with_open_sizes(app: App):
    metadata = app.request("GET", f"/v2/models/{NAME}").json()
    assert {"name": ITEM, "datatype": "BYTES", "shape": [-1, -1]} in metadata["inputs"]
    assert metadata["versions"] == ["v3"]


def test_health_and_server_metadata_answer(app: App):
    for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{NAME}/ready", "/v2"):
        assert app.request("GET", path).status_code == 200


def test_a_model_that_is_still_loading_is_not_ready_and_says_so():
    with ThreadPoolExecutor(1) as executor:
        loading = App(Served(NAME, "v3", LIMITS), executor)
        assert loading.request("GET", "/v2/health/live").status_code == 200
        assert loading.request("GET", "/v2/health/ready").status_code == 503
        assert loading.request("GET", f"/v2/models/{NAME}").status_code == 503
        response = loading.infer(a_request())
        assert response.status_code == 503
        assert "loading" in response.json()["error"]


def test_metrics_count_requests_by_outcome(app: App):
    app.infer(a_request(rows=2))
    app.infer({})
    text = app.request("GET", "/metrics").text
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(samples['longtail_serving_requests_total{outcome="ok"}']) >= 1
    assert float(samples['longtail_serving_requests_total{outcome="refused"}']) >= 1
    assert float(samples['longtail_serving_request_seconds_count{outcome="ok"}']) >= 1
    assert float(samples["longtail_serving_batch_rows_sum"]) >= 2
    assert float(samples["longtail_serving_requests_in_flight"]) == 0


@pytest.mark.parametrize("node", ["click = Log (logit)", "nought = Sub (logit, logit)  click = Div (sum, nought)"])
def test_a_score_that_is_not_finite_is_null_and_counted(node: str, tmp_path: Path):
    with serving_app(tmp_path, graph(sign=-1, score=node)) as broken:
        assert score(broken.infer(a_request())) == [None]
        assert "longtail_serving_not_finite_scores_total 1.0" in broken.request("GET", "/metrics").text
