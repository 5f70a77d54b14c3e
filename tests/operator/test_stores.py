"""What a store, or its Secret, answers wrongly stands in the HeavyModel's conditions; nothing of a key does."""

import base64
from contextlib import ExitStack

import pytest
import yaml

from longtail_operator.kubernetes.objects import Key
from tests.operator.conftest import Place
from tests.operator.test_main_job import play
from tests.store.scripted_s3 import Answering, Reply, echo, error, page, scripted_s3

pytestmark = pytest.mark.api
ACCESS_KEY, SECRET_KEY = "AKIDOFATENANT", "wJalrXUtnFEMIofatenant"
ANSWERS: dict[str, tuple[Answering, str]] = {
    "to-https": (lambda request: Reply(301, headers={"Location": "https://s3.example.com/"}), "EndpointRedirects"),
    "one-page": (lambda request: page(200), "NotS3"),
    "no-condition": (
        lambda request: error(501, "NotImplemented") if "if-none-match" in request.headers else None,
        "StoreNotAtomic",
    ),
    "chatty": (echo, "AccessDenied"),
}


async def secret(place: Place, name: str, access_key: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    await place.api.create(
        {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": place.namespace},
            "data": {entry: base64.b64encode(value.encode()).decode() for entry, value in keys.items()},
        }
    )  # fmt: skip


async def heavy_model(place: Place, name: str, endpoint: str, keys: str) -> None:
    storage = {"uri": f"s3://bucket/{name}", "endpoint": endpoint, "credentialsSecretRef": {"name": keys}}
    schema = {"labels": [{"name": "click"}], "context": {"numeric": ["price"]}}
    await place.create("HeavyModel", name, {"schema": schema, "storage": storage})


async def assert_nothing_is_told_of_the_keys(place: Place) -> None:
    said = [*await place.api.list("HeavyModel", place.namespace), *await place.api.list("Event", place.namespace)]
    everything = yaml.safe_dump(said) + (place.folder / "operator.log").read_text()
    for word in (ACCESS_KEY, SECRET_KEY, "Signature=", "AWS4-HMAC-SHA256"):
        assert word not in everything


def test_what_a_store_answers_is_named_until_it_answers_otherwise(place: Place) -> None:
    async def story(place: Place) -> None:
        with ExitStack() as running:
            servers = {name: running.enter_context(scripted_s3(answering)) for name, (answering, _) in ANSWERS.items()}
            await secret(place, "keys", ACCESS_KEY)
            for name, server in servers.items():
                await heavy_model(place, name, server.url, "keys")
            place.start_operator()
            for name, (_, reason) in ANSWERS.items():
                await place.becomes("HeavyModel", name, "StoreReady", "False", reason)
                await place.becomes("HeavyModel", name, "Ready", "False", reason)
            await assert_nothing_is_told_of_the_keys(place)
            for server in servers.values():
                server.answering = lambda request: None
            # Whether writers race to one end is asked again after ten minutes only.
            for name in ANSWERS.keys() - {"no-condition"}:
                await place.becomes("HeavyModel", name, "StoreReady", "True")

    play(place, story)


def test_a_line_break_ends_a_key_and_is_named_within_one(place: Place) -> None:
    async def story(place: Place) -> None:
        with scripted_s3() as server:
            await secret(place, "echoed", f"{ACCESS_KEY}\n")
            await secret(place, "broken", f"{ACCESS_KEY}\nand a second line")
            await heavy_model(place, "of-echoed", server.url, "echoed")
            await heavy_model(place, "of-broken", server.url, "broken")
            place.start_operator()
            await place.becomes("HeavyModel", "of-echoed", "StoreReady", "True")
            assert f"Credential={ACCESS_KEY}/" in server.requests[-1].headers["authorization"]
            message = await place.becomes("HeavyModel", "of-broken", "StoreReady", "False", "CredentialsInvalid")
            assert "AWS_ACCESS_KEY_ID" in message
            await assert_nothing_is_told_of_the_keys(place)
            right = base64.b64encode(ACCESS_KEY.encode()).decode()
            await place.api.merge(Key("Secret", place.namespace, "broken"), {"data": {"AWS_ACCESS_KEY_ID": right}})
            await place.becomes("HeavyModel", "of-broken", "StoreReady", "True")

    play(place, story)
