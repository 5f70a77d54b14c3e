"""Pictures in the store that a status links to."""

from typing import Annotated

from pydantic import Field

from longtail_api.base import ApiModel

NAME_LIMIT = 63
URI_LIMIT = 480
PICTURES_LIMIT = 8


class Picture(ApiModel):
    """A picture of a run."""

    name: Annotated[str, Field(max_length=NAME_LIMIT)]
    """The step that drew it, and what it shows: search-cell, train-light-quality-cost."""
    uri: Annotated[str, Field(max_length=URI_LIMIT)]
    """Address of the SVG in the store."""


Pictures = Annotated[
    list[Picture],
    Field(
        max_length=PICTURES_LIMIT,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]
