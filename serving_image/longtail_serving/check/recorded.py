"""Recorded rows, as requests to one version."""

import json
from dataclasses import dataclass

from pydantic import ValidationError

from longtail_api.data_schema import earlier_length_column, length_column
from longtail_api.store_objects import InferenceTensor, ModelCard, RecordedRequest
from longtail_store import Corrupt, Store


@dataclass(frozen=True)
class NotFitting:
    """Why rows can't be asked of a version: its inputs are not among theirs."""

    reason: str


def read_requests(store: Store, key: str) -> list[RecordedRequest]:
    """The rows of `requests.jsonl`. Raises `ObjectMissing`, and `Corrupt` naming the line."""
    rows: list[RecordedRequest] = []
    for number, line in enumerate(store.get(key).splitlines(), start=1):
        if line.strip():
            try:
                rows.append(RecordedRequest.model_validate_json(line))
            except ValidationError as error:
                first = error.errors(include_input=False)[0]
                where = ".".join(map(str, first["loc"]))
                raise Corrupt(f"{store!r}: {key}, line {number}: {where}: {first['msg']}") from error
    return rows


def bodies(rows: list[RecordedRequest], card: ModelCard) -> list[bytes] | NotFitting:
    """One request body per row, with the inputs that the version takes and no others.

    Rows hold every feature of the schema; a light model may use some of them. An older version may have been made
    for another schema, and need a feature that the rows lack.
    """
    result: list[bytes] = []
    for row in rows:
        tensors = _by_name(row)
        for spec in card.inputs:
            if spec.name not in tensors:
                return NotFitting(f"the rows have no {spec.name}, which {card.version} takes")
            if tensors[spec.name].datatype != spec.datatype:
                return NotFitting(
                    f"the rows have {spec.name} as {tensors[spec.name].datatype}, {card.version} takes {spec.datatype}"
                )
        inputs = [tensors[spec.name].model_dump(mode="json") | {"name": spec.name} for spec in card.inputs]
        result.append(json.dumps({"inputs": inputs}, allow_nan=False).encode())
    return result


def _by_name(row: RecordedRequest) -> dict[str, InferenceTensor]:
    """The row's tensors; a sequence's length also under the name that it had or has in rows and versions of another
    age."""
    given = {tensor.name: tensor for tensor in row.inputs}
    sequences = {name.split(".")[1].removesuffix(":length") for name in given if name.startswith("behaviors.")}
    names = [(length_column(sequence), earlier_length_column(sequence)) for sequence in sequences]
    both = [*names, *((earlier, now) for now, earlier in names)]
    return {to: given[known] for known, to in both if known in given} | given
