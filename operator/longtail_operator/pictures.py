"""Links to the pictures of steps, as a status holds them."""

from collections.abc import Mapping, Sequence

from longtail_api.pictures import NAME_LIMIT, PICTURES_LIMIT, URI_LIMIT, Picture


def links(step: str, keys: Mapping[str, str], store_uri: str) -> list[Picture]:
    """Of the pictures that a step's result names, by their keys. One whose address is too long for a status is left
    out: it stands in the store beside the result all the same."""
    addresses = {f"{step}-{name}": f"{store_uri.rstrip('/')}/{key}" for name, key in sorted(keys.items())}
    return [
        Picture(name=name, uri=uri)
        for name, uri in addresses.items()
        if len(uri) <= URI_LIMIT and len(name) <= NAME_LIMIT
    ]


def replaced(known: Sequence[Picture], step: str, found: Sequence[Picture]) -> list[Picture]:
    """`known`, with `found` in place of what the step's earlier run had drawn."""
    others = [one for one in known if not one.name.startswith(f"{step}-")]
    return sorted([*others, *found], key=lambda one: one.name)[:PICTURES_LIMIT]
