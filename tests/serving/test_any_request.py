"""Whatever a client sends, the answer is a score or a 400 with a reason."""

import json
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.asgi_app import AGE, INFER, ITEM, LENGTH, App, Json, changed, score, serving_app
from tests.serving.tiny_model import INPUTS


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Generator[App]:
    with serving_app(tmp_path_factory.mktemp("store")) as result:
        yield result


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
small = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@small
@given(st.binary(max_size=300) | anything.map(lambda value: json.dumps(value).encode()))
def test_no_body_whatever_gets_a_500(app: App, body: bytes):
    response = app.request("POST", INFER, body)
    assert response.status_code == 400
    assert response.json()["error"]


@small
@given(
    st.sampled_from([spec.name for spec in INPUTS]),
    st.dictionaries(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), anything, min_size=1),
)
def test_no_change_to_an_input_gets_a_500(app: App, name: str, fields: Json):
    assert app.infer(changed(name, **fields)).status_code in (200, 400)


@small
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2),
    st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(0, 2),
)
def test_every_valid_request_is_answered_with_a_finite_score(app: App, items: list[str], age: float, length: int):
    content = changed(ITEM, data=items)
    for tensor in content["inputs"]:
        if tensor["name"] == AGE:
            tensor["data"] = [age]
        if tensor["name"] == LENGTH:
            tensor["data"] = [length]
    (value,) = score(app.infer(content))
    assert 0 <= value <= 1
