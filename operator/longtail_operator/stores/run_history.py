"""What of prepared data, of the steps' results and of light models nothing needs any more.

Each is a folder: `data/<scenario>/<version>`, `runs/<owner>/<run>`, `models/<scenario>/<version>`. Of each owner the
newest few of a kind stay, of runs those of each step, so that refreshes of the data alone don't drive out the last
heavy model. So does whatever is in use, however old, and the pools that the generations in use began with. Whoever sees
less than there is, in a listing that broke off or a store that was emptied, removes less and never more.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import groupby

from longtail_api.store_layout import DATA_PREFIX, MODELS_PREFIX, RUNS_PREFIX
from longtail_api.store_objects import Version
from longtail_operator.stores.usage import Usage
from longtail_store import Chain, ObjectInfo, Store

REST = timedelta(hours=1)
"""What was written within this time is left alone: a step that is just ending may not be known yet."""
_PART = re.compile(r"(?P<folder>[a-z]+/[^/]+/[dv]?(?P<number>[0-9]+))/(?P<step>[^/]+/)?.+")
"""An object of a data version, of one step of a run, or of a light version."""


def outgrown(listed: Iterable[ObjectInfo], newest: int, in_use: Collection[str], now: datetime) -> dict[str, str]:
    """Keys of one owner's objects of one kind that may go, each with its folder.

    newest: so many stay. Of runs that stay, and are not in use, the resume points of finished steps go.
    """
    steps: dict[str, dict[tuple[int, str], list[ObjectInfo]]] = defaultdict(lambda: defaultdict(list))
    for item in listed:
        part = _PART.fullmatch(item.key)
        if part is not None:
            steps[part["step"] or ""][int(part["number"]), part["folder"]].append(item)
    found: dict[str, str] = {}
    for step, parts in steps.items():
        for place, (number, folder) in enumerate(sorted(parts, reverse=True)):
            items = parts[number, folder]
            if folder in in_use or any(now - item.modified < REST for item in items):
                continue
            gone = items if place >= newest else _spent(f"{folder}/{step}", items)
            found |= {item.key: folder for item in gone}
    return found


def _spent(step: str, items: list[ObjectInfo]) -> list[ObjectInfo]:
    """The resume points of a step that has its result."""
    finished = any(item.key == f"{step}result.json" for item in items)
    return [item for item in items if finished and item.key.startswith(f"{step}resume/")]


def removable(store: Store, usage: Usage, newest: Mapping[str, int], limit: int) -> dict[str, str]:
    """About `limit` keys that may go, each with its folder. newest: by prefix, how many of each kind stay.

    Nothing where the store has no version of the agnostic model: it was emptied, or has just begun.
    """
    chain, now = Chain(store), store.now()
    head = chain.head()
    if head is None:
        return {}
    started_from = {number for number in usage.versions if number < head.number}
    in_use = usage.folders | _pools(chain, [head, *map(chain.version, started_from)])
    found: dict[str, str] = {}
    for prefix in (DATA_PREFIX, RUNS_PREFIX, MODELS_PREFIX):
        for owner, listed in groupby(store.list(prefix), lambda item: item.key.split("/")[1]):
            if owner in usage.owners:
                found |= outgrown(listed, newest[prefix], in_use, now)
            if len(found) >= limit:
                return found
    return found


def _pools(chain: Chain, versions: Iterable[Version]) -> set[str]:
    """Data versions of the pools that these versions' generations began with: teachers label rows of them."""
    generations = {version.generation: version for version in versions}
    firsts = map(chain.first_of_generation, generations.values())
    return {manifest.rpartition("/")[0] for first in firsts for manifest in first.pool}
