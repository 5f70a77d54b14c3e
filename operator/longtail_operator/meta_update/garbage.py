"""What of the agnostic model's objects nothing needs any more.

Version records stay for ever, pending feedback too. A checkpoint goes when none of the newest versions names it: at
once where a version once did, and after a retention time where none did (an attempt that lost, or died). That time
is twice what an attempt may take, and both ends of it are read off the server's clock. Segments of settled runs go as
orphans do: the head names all that are needed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from longtail_api.store_layout import (
    CHECKPOINTS_PREFIX,
    FEEDBACK_PREFIX,
    SETTLED_PREFIX,
    checkpoint_number,
    feedback_run,
    settled_key,
)
from longtail_api.store_objects import Version
from longtail_store import Chain, ObjectInfo, Store
from longtail_store.settled_log import SettledLog, SettledRuns, read_head


@dataclass(frozen=True)
class RetentionRule:
    """How much history stays."""

    versions: int
    """The newest versions whose checkpoint and feedback stay."""
    orphans: timedelta
    """Age at which an object that no version names may go."""


def removable_checkpoints(
    listed: Iterable[ObjectInfo],
    kept: Collection[str],
    committed: Mapping[int, str],
    rule: RetentionRule,
    now: datetime,
) -> list[str]:
    """Keys of the checkpoints to remove.

    `kept`: keys that the newest versions, or runs under way, need. `committed`: by number, the key of the checkpoint
    of each version that a listed checkpoint was meant for, where that version is committed.
    """
    keys: list[str] = []
    for item in listed:
        number = checkpoint_number(item.key)
        if number is None or item.key in kept:
            continue
        retired = committed.get(number) == item.key
        if retired or now - item.modified > rule.orphans:
            keys.append(item.key)
    return keys


def removable_feedback(
    listed: Iterable[ObjectInfo],
    settled: SettledRuns,
    kept: Collection[tuple[str, int]],
    rule: RetentionRule,
    now: datetime,
) -> list[str]:
    """Keys of the feedback to remove: settled, not named by the newest versions (`kept`), and of some age."""
    keys: list[str] = []
    for item in listed:
        run = feedback_run(item.key)
        if run and run not in kept and settled.holds(*run) and now - item.modified > rule.orphans:
            keys.append(item.key)
    return keys


def removable_segments(
    listed: Iterable[ObjectInfo], needed: Iterable[Version], rule: RetentionRule, now: datetime
) -> list[str]:
    """Keys of the segments of settled runs to remove: named by none of the versions `needed`, and of some age."""
    kept = {settled_key(*segment) for version in needed for segment in version.settled_segments.items()}
    return [item.key for item in listed if item.key not in kept and now - item.modified > rule.orphans]


def collect(store: Store, rule: RetentionRule, in_use: Collection[int] = ()) -> list[str]:
    """Remove what nothing needs; return the keys removed. `in_use`: versions that runs under way started from."""
    chain = Chain(store)
    head = chain.head()
    last = head.number if head is not None else 0
    now = store.now()
    oldest = max(1, last - rule.versions + 1)
    newest = [chain.version(number) for number in range(oldest, last)]
    if head is not None:
        newest.append(head)
    needed = newest + [chain.version(number) for number in in_use if number < min(oldest, last)]
    checkpoints = list(store.list(CHECKPOINTS_PREFIX))
    meant_for = {checkpoint_number(item.key) for item in checkpoints}
    committed = {number: chain.version(number).checkpoint.key for number in meant_for if number and number <= last}
    keys = removable_checkpoints(checkpoints, {version.checkpoint.key for version in needed}, committed, rule, now)
    kept_runs = {run for version in newest for run in version.settles()}
    feedback = list(store.list(FEEDBACK_PREFIX))
    handed_in = {run[0] for item in feedback if (run := feedback_run(item.key))}
    _, settled = read_head(store, SettledLog(store), handed_in)
    keys += removable_feedback(feedback, settled, kept_runs, rule, now)
    keys += removable_segments(store.list(SETTLED_PREFIX), newest, rule, now)
    store.delete(*keys)
    return keys
