"""The log of settled runs: what a version of the chain, with all before it, has folded or rejected.

A record holds the runs of few scenarios itself. Those of more lie in segments, immutable objects that the record names:
a scenario falls to one of 256 by the hash of its key. An attempt at a version writes anew the segments that it adds
to, under a name of its own, before it commits the record; the others are named on. So what an attempt reads and
writes follows the feedback it settles, and not the number of scenarios that there ever were. Segments of an attempt
that lost or died are orphans, like its checkpoint.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from longtail_api.store_layout import VERSION_DIGITS, settled_key
from longtail_api.store_objects import SettledSegment, Version
from longtail_store.chain import Chain
from longtail_store.errors import Corrupt, ObjectMissing, StoreError
from longtail_store.settled import Ranges, Settled, is_settled, merged, with_runs
from longtail_store.store import Store
from longtail_store.typed_objects import read_object, write_object_if_absent

INLINE_SCENARIOS = 64
"""Of how many scenarios a record holds the settled runs itself."""


class Outdated(StoreError):
    """The version is the head no longer, and what it names is removed already. Read the head anew."""


@dataclass(frozen=True)
class SettledRuns:
    """What a version has settled, as far as it was asked for."""

    inline: Mapping[str, Ranges]
    segments: Mapping[str, Mapping[str, Ranges]]

    def holds(self, scenario: str, run: int) -> bool:
        return is_settled(self._part(scenario), scenario, run)

    def of(self, scenario: str) -> Ranges:
        """The settled runs of one scenario."""
        return self._part(scenario).get(scenario, [])

    def all(self) -> Settled:
        """By scenario."""
        return {name: ranges for part in (self.inline, *self.segments.values()) for name, ranges in part.items()}

    def _part(self, scenario: str) -> Mapping[str, Ranges]:
        return self.inline if scenario in self.inline else self.segments.get(segment_of(scenario), {})


NOTHING = SettledRuns({}, {})


class SettledLog:
    """Reads the log of one store. Segments never change, so each is read once as long as the versions name it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, tuple[str, Settled]] = {}

    def at(self, version: Version, scenarios: Iterable[str] | None = None) -> SettledRuns:
        """What the version has settled of the scenarios; None: of all.

        Raises `Outdated` where it is the head no longer and a collection was faster, and `Corrupt` where a segment that
        the head names is gone.
        """
        named = version.settled_segments
        wanted = set(named) if scenarios is None else {segment_of(scenario) for scenario in scenarios} & named.keys()
        return SettledRuns(version.settled, {segment: self._segment(version, segment) for segment in sorted(wanted)})

    def _segment(self, version: Version, segment: str) -> Settled:
        name = version.settled_segments[segment]
        known = self._read.get(segment)
        if known is None or known[0] != name:
            try:
                found = read_object(self._store, settled_key(segment, name), SettledSegment)
            except ObjectMissing as error:
                if Chain(self._store).head_number() > version.number:
                    raise Outdated(f"{error}; version {version.number} is not the newest any more") from error
                raise Corrupt(f"{error}, which version {version.number} names") from error
            known = self._read[segment] = (name, found.settled)
        return known[1]


def read_head(store: Store, log: SettledLog, scenarios: Collection[str] | None) -> tuple[Version | None, SettledRuns]:
    """The newest version, None where there is none, and what it has settled of the scenarios (None: of all)."""
    while True:
        head = Chain(store).head()
        if head is None:
            return None, NOTHING
        try:
            return head, log.at(head, scenarios)
        except Outdated:
            continue


def settle(
    store: Store, head: Version, runs: Collection[tuple[str, int]], nonce: str, inline_scenarios: int = INLINE_SCENARIOS
) -> dict[str, Any]:
    """`settled` and `settled_segments` of the version that follows `head` and settles `runs` (scenario, run) too.

    Segments are written, so begin the attempt (`in_time`) before. Raises as `SettledLog.at` does.
    """
    inline = with_runs(head.settled, runs)
    if not head.settled_segments and len(inline) <= inline_scenarios:
        return {"settled": inline, "settled_segments": {}}
    known = SettledLog(store).at(head, inline)
    added: dict[str, Settled] = {}
    for scenario, ranges in inline.items():
        segment = segment_of(scenario)
        content = added.setdefault(segment, dict(known.segments.get(segment, {})))
        content[scenario] = merged([*content.get(scenario, []), *ranges])
    name = f"{head.number + 1:0{VERSION_DIGITS}d}-{nonce}"
    for segment, content in added.items():
        # Where it stands there already, it is one's own, whose response was lost: the nonce was drawn for it.
        write_object_if_absent(store, settled_key(segment, name), SettledSegment(settled=content))
    return {"settled": {}, "settled_segments": {**head.settled_segments, **dict.fromkeys(added, name)}}


def segment_of(scenario: str) -> str:
    """Which segment a scenario falls to: two hexadecimal digits."""
    return hashlib.sha256(scenario.encode()).hexdigest()[:2]
