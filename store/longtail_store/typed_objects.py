"""Typed objects: a model in, canonical JSON in the store, the model out."""

from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from longtail_api.base import StoreObject
from longtail_store.errors import Corrupt, SchemaVersionUnsupported
from longtail_store.store import Store

Model = TypeVar("Model", bound=StoreObject)


def read_object(store: Store, key: str, model: type[Model]) -> Model:
    """The object under `key`. Raises `ObjectMissing`, `Corrupt`, `SchemaVersionUnsupported`."""
    return parse_object(store.get(key), model, f"{store!r}: {key}")


def parse_object(data: bytes | str, model: type[Model], where: str) -> Model:
    """The object in `data`, of a `schemaVersion` that is read (`StoreObject.readable`).

    Raises `Corrupt`, `SchemaVersionUnsupported`, both naming `where` it was found.
    """
    try:
        content = from_json(data)
    except ValueError as error:
        raise Corrupt(f"{where} is not JSON: {error}") from error
    current: int = model.model_fields["schema_version"].default
    written = content.get("schemaVersion", current) if isinstance(content, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    readable = model.readable()
    if isinstance(written, int) and written not in readable:
        remedy = "use a newer Longtail" if written > current else "write it anew"
        raise SchemaVersionUnsupported(
            f"{where} has schemaVersion {written}, this Longtail reads {readable[0]} to {current}; {remedy}"
        )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise Corrupt(f"{where} is no {model.__name__}: {error}") from error


def write_object_if_absent(store: Store, key: str, value: StoreObject) -> bool:
    """Write `value` unless there is an object: True where this call wrote it (see `Store.put_if_absent`)."""
    return store.put_if_absent(key, value.to_bytes())
