"""One fold: pending feedback in, one more version of the chain out."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from longtail_api.store_layout import feedback_key
from longtail_api.store_objects import (
    Checkpoint,
    FeedbackMetadata,
    FoldedFeedback,
    MetaUpdateParameters,
    RejectedFeedback,
    Version,
)
from longtail_operator.meta_update.gradients import ParameterGradient, gradients, norm
from longtail_operator.meta_update.rules import clip_scale, judge, staleness_weight
from longtail_store import Chain, Committed, Corrupt, ObjectMissing, Store, in_time, new_nonce
from longtail_store.errors import FeedbackUnusable
from longtail_store.feedback import verified_metadata
from longtail_store.settled_log import INLINE_SCENARIOS, Outdated, SettledLog, settle
from longtail_store.tensor_file import Array, TensorFile, TensorSpec, open_tensor_file, write_tensor_file

Run = tuple[str, int]
"""Scenario key and run number."""


class NotInitialized(Exception):
    """The chain has no version yet: there is nothing to fold into."""


@dataclass(frozen=True)
class FoldOutcome:
    """What a fold did."""

    version: Version
    """The head: the version committed, or what stood before where there was nothing to settle."""
    committed: bool
    duplicates: tuple[Run, ...] = ()
    """Runs that were settled before; ignored, for ever."""
    missing: tuple[Run, ...] = ()
    """Runs whose feedback isn't in the store. They stay pending."""


@dataclass(frozen=True)
class _Accepted:
    """A feedback that this fold takes."""

    metadata: FeedbackMetadata
    gradients: dict[str, ParameterGradient]
    staleness: int
    weight: float
    clip_scale: float

    def record(self) -> FoldedFeedback:
        return FoldedFeedback(
            scenario=self.metadata.scenario,
            run=self.metadata.run,
            sha256=self.metadata.payload_sha256,
            base_version=self.metadata.base_version,
            staleness=self.staleness,
            weight=self.weight,
            clip_scale=self.clip_scale,
            examples=self.metadata.examples,
            loss=self.metadata.loss,
        )


def fold(
    store: Store,
    runs: Sequence[Run],
    parameters: MetaUpdateParameters,
    *,
    orphans_seconds: float,
    workspace: Path | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    inline_scenarios: int = INLINE_SCENARIOS,
) -> FoldOutcome:
    """Settle the feedback of `runs` in one version: each is folded, or recorded as rejected.

    Where another writer commits first, the checkpoint written is left as an orphan and the work starts over from the
    new head, without the runs that one settled. An attempt gives up after half of `orphans_seconds`, after which
    orphans are removed. Raises `NotInitialized`, `AttemptExpired`, and what the store raises.
    """
    chain, log = Chain(store), SettledLog(store)
    while True:
        deadline = in_time(orphans_seconds, monotonic)
        head = chain.head()
        if head is None:
            raise NotInitialized(f"{store!r}: there is no version of the agnostic model yet")
        try:
            known = log.at(head, [scenario for scenario, _ in runs])
        except Outdated:
            continue
        duplicates = tuple(run for run in runs if known.holds(*run))
        unsettled = sorted(set(runs) - set(duplicates))
        if not unsettled:
            return FoldOutcome(head, False, duplicates)
        with TemporaryDirectory(dir=workspace) as folder, ExitStack() as files:
            base_path = Path(folder, "base.safetensors")
            try:
                chain.load_checkpoint(head.checkpoint, base_path)
            except ObjectMissing as error:
                if chain.head_number() > head.number:  # retired, by a writer who is ahead
                    continue
                raise Corrupt(f"{error}, which version {head.number} names") from error
            base = files.enter_context(open_tensor_file(base_path))
            accepted, rejected, missing = _inspect(store, unsettled, head, base, parameters, Path(folder), files)
            if not accepted and not rejected:
                return FoldOutcome(head, False, duplicates, missing)
            nonce = new_nonce()
            checkpoint = head.checkpoint
            if accepted:
                updated = Path(folder, "updated.safetensors")
                _write_updated(updated, base, accepted, parameters.learning_rate)
                checkpoint = chain.write_checkpoint(head.number + 1, nonce, updated)
            version = _next_version(head, checkpoint, accepted, rejected, parameters, nonce)
            try:
                settled = settle(store, head, version.settles(), nonce, inline_scenarios)
            except Outdated:
                continue
            version = version.model_copy(update=settled)
            result = chain.commit(version, deadline)
        if isinstance(result, Committed):
            return FoldOutcome(result.version, True, duplicates, missing)


def _inspect(
    store: Store,
    runs: Sequence[Run],
    head: Version,
    base: TensorFile,
    parameters: MetaUpdateParameters,
    folder: Path,
    files: ExitStack,
) -> tuple[list[_Accepted], list[RejectedFeedback], tuple[Run, ...]]:
    """Fetch and judge each feedback. Accepted ones stay open in `files`."""
    accepted: list[_Accepted] = []
    rejected: list[RejectedFeedback] = []
    missing: list[Run] = []
    for number, (scenario, run) in enumerate(runs):
        path = folder / f"feedback-{number}.safetensors"
        try:
            store.download(feedback_key(scenario, run), path)
        except ObjectMissing:
            missing.append((scenario, run))
            continue
        try:
            accepted.append(_accept(path, scenario, run, head, base, parameters, files))
        except FeedbackUnusable as error:
            path.unlink()
            rejected.append(
                RejectedFeedback(scenario=scenario, run=run, reason=error.reason, message=str(error)[:1000])
            )
    return accepted, rejected, tuple(missing)


def _accept(
    path: Path,
    scenario: str,
    run: int,
    head: Version,
    base: TensorFile,
    parameters: MetaUpdateParameters,
    files: ExitStack,
) -> _Accepted:
    try:
        file = files.enter_context(open_tensor_file(path))
    except Corrupt as error:
        raise FeedbackUnusable("Unreadable", f"{feedback_key(scenario, run)}: {error}") from error
    metadata = verified_metadata(file, scenario, run)
    judge(metadata, head)
    found = gradients(file, base.tensors)
    length = norm(found)
    if not math.isfinite(metadata.loss):
        raise FeedbackUnusable("NotFinite", f"the query loss is {metadata.loss}")
    staleness = head.number - metadata.base_version
    return _Accepted(
        metadata=metadata,
        gradients=found,
        staleness=staleness,
        weight=staleness_weight(staleness, parameters.staleness_exponent),
        clip_scale=clip_scale(length, parameters.clip_norm),
    )


def _write_updated(path: Path, base: TensorFile, accepted: Sequence[_Accepted], learning_rate: float) -> None:
    """θ − η · Σ w·c·g into a file laid out as the base's, a block of rows at a time; sums in float64."""

    def blocks() -> Iterator[Array]:
        for spec in base.tensors.values():
            for start, stop in spec.blocks():
                yield _updated_block(base, spec, start, stop, accepted, learning_rate)

    write_tensor_file(path, base.tensors.values(), blocks(), base.metadata)


def _updated_block(
    base: TensorFile, spec: TensorSpec, start: int, stop: int, accepted: Sequence[_Accepted], learning_rate: float
) -> Array:
    values = base.rows(spec.name, start, stop)
    touching = [feedback for feedback in accepted if spec.name in feedback.gradients]
    if not touching:
        return values
    total = np.zeros(values.shape, np.float64)
    for feedback in touching:
        feedback.gradients[spec.name].add(feedback.weight * feedback.clip_scale, start, stop, total)
    total *= -learning_rate
    total += values
    return total.astype(values.dtype)


def _next_version(
    head: Version,
    checkpoint: Checkpoint,
    accepted: Sequence[_Accepted],
    rejected: Sequence[RejectedFeedback],
    parameters: MetaUpdateParameters,
    nonce: str,
) -> Version:
    folded = [feedback.record() for feedback in accepted]
    return head.model_copy(
        update={
            "number": head.number + 1,
            "kind": "fold",
            "checkpoint": checkpoint,
            "pool": [],
            "folded": folded,
            "rejected": list(rejected),
            "folded_count": head.folded_count + len(folded),
            "rejected_count": head.rejected_count + len(rejected),
            "parameters": parameters,
            "metrics": {},
            "nonce": nonce,
            "created": datetime.now(UTC),
        }
    )
