"""The state machine of the meta-update: scenario runs, two operators that both believe to lead, and every fault.

Each process stops before each of its store calls; hypothesis decides who goes on, and how the call goes. At the end
everybody is killed, what is on its way arrives, a sound operator settles the rest, and the chain is examined.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from safetensors.numpy import save_file

from longtail_api.store_layout import CHECKPOINTS_PREFIX, VERSIONS_PREFIX, feedback_key, version_key
from longtail_api.store_objects import Version
from longtail_operator.meta_update.fold import FoldOutcome, fold
from longtail_operator.meta_update.garbage import RetentionRule, collect
from longtail_operator.meta_update.ledger import pending
from longtail_store import AttemptExpired, Chain, Committed, Store, StoreUnreachable, new_nonce
from longtail_store.feedback import FeedbackConflict, write_feedback
from longtail_store.replacement import committed_by
from longtail_store.replacement import replace as replace_head
from longtail_store.settled import Settled, merged
from longtail_store.settled_log import Outdated, SettledLog, read_head
from tests.store.faults import Crash, Fault, World
from tests.store.replay import Handed, replayed
from tests.store.small_model import (
    MEMORY,
    PARAMETERS,
    as_handed_in,
    checkpoint_of,
    commit_generation,
    dense_gradients,
    feedback_bytes,
    parameters,
    with_last_byte_flipped,
)
from tests.store.stepping import Process

ORPHANS_SECONDS = 600.0
LONGEST_CALL = timedelta(seconds=0.45 * ORPHANS_SECONDS)
"""What the S3 client's time limits promise: below half of the retention of orphans."""
KEPT_VERSIONS = 3
RETENTION = RetentionRule(KEPT_VERSIONS, timedelta(seconds=ORPHANS_SECONDS))
SCENARIOS = ("team.ads.00000001", "team.risk.00000002", "team.news.00000003")
FOLDED = "folded"
VERDICTS = (FOLDED, FOLDED, FOLDED, "NotFinite", "WrongShape", "WrongTensors", "UnknownBase", "WrongHash", "Unreadable")
FAULTS = st.sampled_from([Fault.NONE] * 12 + list(Fault))
TURNS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 16), FAULTS), min_size=1, max_size=10)
"""Who goes on, for how many calls that go well, and how the one after them goes."""
FEEDBACK = st.tuples(
    st.sampled_from(SCENARIOS), st.integers(0, 3), st.sampled_from(VERDICTS), st.integers(0, 99), st.booleans()
)
"""Scenario, age of the base in versions, what must become of it, seed, whether row-sparse."""

Run = tuple[str, int]


@dataclass(frozen=True)
class HandedIn:
    """One run's feedback, as the test knows it."""

    scenario: str
    run: int
    base_version: int
    generation: int
    verdict: str
    """What must become of it, in its own generation."""
    seed: int
    row_sparse: bool
    acknowledged: bool = False

    @property
    def container(self) -> str:
        return f"run {self.run} of {self.scenario}"

    def gradients(self) -> dict[str, np.ndarray]:
        found = dense_gradients(self.seed)
        if self.verdict == "NotFinite":
            found["weight"][1, 1] = np.nan
        if self.verdict == "WrongShape":
            found["weight"] = np.ones((3, 4), np.float32)
        if self.verdict == "WrongTensors":
            found["another"] = np.ones(2, np.float32)
        return found

    def write(self, store: Store) -> None:
        """What the training container does."""
        if self.verdict in ("WrongHash", "Unreadable"):
            data = feedback_bytes(self.scenario, self.run, self.base_version, self.generation, self.seed)
            data = with_last_byte_flipped(data) if self.verdict == "WrongHash" else data[: len(data) // 2]
            store.put_if_absent(feedback_key(self.scenario, self.run), data)
            return
        write_feedback(
            store,
            as_handed_in(self.gradients(), row_sparse=self.row_sparse),
            scenario=self.scenario,
            run=self.run,
            base_version=10**6 if self.verdict == "UnknownBase" else self.base_version,
            generation=self.generation,
            examples=7,
            loss=0.5,
        )


class LedgerMachine(RuleBasedStateMachine):
    """Subclasses say where the store is."""

    def open_store(self) -> Store:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.workspace = Path(tempfile.mkdtemp(dir=MEMORY))
        self.world = World(self.open_store())
        self.processes: dict[str, Process] = {}
        self.handed: dict[Run, HandedIn] = {}
        self.fresh: dict[str, dict[str, np.ndarray]] = {}
        """Parameters of the generations anybody tried to start, by nonce."""
        self.replaced: set[str] = set()
        """Containers whose feedback was delivered again with other content."""
        self.seen: dict[int, bytes] = {}
        """Version records as they were when first seen."""
        self.settled: dict[int, Settled] = {}
        """What each of them had settled; of one that was outdated when first seen it can't be told."""

    @property
    def chain(self) -> Chain:
        return Chain(self.world.store)

    def head(self) -> Version:
        head = self.chain.head()
        assert head is not None
        return head

    def start(self, name: str, body: Callable[[Store], object]) -> None:
        """Start a process; one of that name that is still at it goes on to its end first."""
        if name in self.processes:
            self.processes[name].finish()
            self.reap()
        self.processes[name] = Process(self.world, name, body)
        self.reap()

    def reap(self) -> None:
        """Take note of the processes that are over; none may have ended in a way that isn't foreseen."""
        for name, process in list(self.processes.items()):
            if process.is_over:
                del self.processes[name]
                foreseen = (Crash, StoreUnreachable, AttemptExpired)
                replaced = isinstance(process.error, FeedbackConflict) and name in self.replaced
                if process.error is not None and not isinstance(process.error, foreseen) and not replaced:
                    raise process.error
                if process.error is None and isinstance(process.result, HandedIn):
                    done = process.result
                    self.handed[done.scenario, done.run] = replace(done, acknowledged=True)
                if isinstance(process.result, FoldOutcome):
                    self.check_outcome(process, process.result)

    def check_outcome(self, process: Process, outcome: FoldOutcome) -> None:
        """An operator that ended well knows whether it was its own version that went into the chain."""
        own = [key for key, writer in self.world.won.items() if writer is process.store and VERSIONS_PREFIX in key]
        assert own == ([version_key(outcome.version.number)] if outcome.committed else [])
        assert self.chain.version(outcome.version.number) == outcome.version

    def settle(self, store: Store, runs: list[Run] | None, buffer_size: int) -> object:
        if runs is None:
            runs = [(item.scenario, item.run) for item in pending(store)[:buffer_size]]
        return fold(
            store,
            runs,
            PARAMETERS,
            orphans_seconds=ORPHANS_SECONDS,
            workspace=self.workspace,
            monotonic=self.world.monotonic,
            inline_scenarios=1,
        )

    @initialize(seed=st.integers(0, 99), crowd=st.lists(FEEDBACK, min_size=2, max_size=6))
    def initialize_the_model(self, seed: int, crowd: list[tuple[str, int, str, int, bool]]) -> None:
        self.start_a_generation(seed)
        self.processes["generation"].finish()
        self.reap()
        self.runs_hand_in_feedback(crowd)

    @rule(crowd=st.lists(FEEDBACK, min_size=1, max_size=4))
    def runs_hand_in_feedback(self, crowd: list[tuple[str, int, str, int, bool]]) -> None:
        """All goes well with these containers."""
        for feedback in crowd:
            self.a_run_hands_in_feedback(feedback)
            if process := self.processes.get(next(reversed(self.handed.values())).container):
                process.finish()
        self.reap()

    @rule(feedback=FEEDBACK)
    def a_run_hands_in_feedback(self, feedback: tuple[str, int, str, int, bool]) -> None:
        scenario, age, verdict, seed, row_sparse = feedback
        run = 1 + sum(1 for owner, _ in self.handed if owner == scenario)
        base = self.chain.version(max(1, self.head().number - age))
        made = HandedIn(scenario, run, base.number, base.generation, verdict, seed, row_sparse)
        self.handed[scenario, run] = made
        self.start_container(made)

    @precondition(lambda self: self.handed)
    @rule(choice=st.integers(0, 99))
    def a_container_is_retried(self, choice: int) -> None:
        self.start_container(list(self.handed.values())[choice % len(self.handed)])

    def start_container(self, made: HandedIn) -> None:
        def body(store: Store) -> HandedIn:
            made.write(store)
            return made

        self.start(made.container, body)

    @rule(operator=st.sampled_from(["operator A", "operator B"]), buffer_size=st.integers(1, 4))
    def an_operator_lists_and_folds(self, operator: str, buffer_size: int) -> None:
        self.start(operator, lambda store: self.settle(store, None, buffer_size))

    @precondition(lambda self: self.handed)
    @rule(operator=st.sampled_from(["operator A", "operator B"]), choices=st.lists(st.integers(0, 99), max_size=4))
    def an_operator_folds_what_it_was_told(self, operator: str, choices: list[int]) -> None:
        known = list(self.handed)
        runs = [known[choice % len(known)] for choice in choices]
        self.start(operator, lambda store: self.settle(store, runs, 0))

    @rule()
    def an_operator_collects_garbage(self) -> None:
        self.start("collector", lambda store: collect(store, RETENTION))

    @precondition(lambda self: len(self.seen) % 4 == 3)  # now and then: it outdates what is pending
    @rule(seed=st.integers(0, 99))
    def start_a_generation(self, seed: int) -> None:
        nonce = new_nonce()
        self.fresh[nonce] = parameters(seed)
        self.start("generation", lambda store: commit_generation(store, parameters(seed), nonce))

    @rule(training=st.integers(1, 3), attempt=st.sampled_from(["first", "second"]))
    def a_meta_training_runs(self, training: int, attempt: str) -> None:
        """Two attempts at one training may run at the same time; each training ends in one version at most."""
        self.start(f"meta-training {attempt}", lambda store: self.meta_train(store, training))

    def meta_train(self, store: Store, training: int) -> Version:
        """As the training container does it."""
        chain = Chain(store)
        identity = f"training {training}"
        while True:
            base = chain.head()
            assert base is not None
            own = committed_by(chain, identity, 1)
            if own is not None:
                return own
            with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
                weights = Path(folder, "weights")
                save_file(parameters(training), weights)
                done = replace_head(
                    chain, identity, base, weights, pool=[], parameters=PARAMETERS,
                    metrics={"training": float(training)}, orphans_seconds=ORPHANS_SECONDS,
                    monotonic=self.world.monotonic,
                )  # fmt: skip
            if isinstance(done, Committed):
                return done.version

    @precondition(lambda self: self.processes)
    @rule(turns=TURNS)
    def processes_take_turns(self, turns: list[tuple[int, int, Fault]]) -> None:
        for choice, calls, fault in turns:
            if not self.processes:
                break
            process = list(self.processes.values())[choice % len(self.processes)]
            for _ in range(calls):
                if not process.is_over:
                    process.step()
            if not process.is_over:
                process.step(fault)
            self.reap()

    @rule(buffer_size=st.integers(1, 4), turns=TURNS)
    def two_operators_take_turns(self, buffer_size: int, turns: list[tuple[int, int, Fault]]) -> None:
        self.an_operator_lists_and_folds("operator A", buffer_size)
        self.an_operator_lists_and_folds("operator B", buffer_size)
        self.processes_take_turns(turns)

    @precondition(lambda self: self.world.in_flight)
    @rule(choice=st.integers(0, 9))
    def a_late_write_arrives(self, choice: int) -> None:
        self.world.in_flight.pop(choice % len(self.world.in_flight))()

    @precondition(lambda self: self.handed)
    @rule(choice=st.integers(0, 99), same=st.booleans())
    def settled_feedback_is_removed_and_delivered_again(self, choice: int, same: bool) -> None:
        made = list(self.handed.values())[choice % len(self.handed)]
        _, settled = read_head(self.world.store, SettledLog(self.world.store), [made.scenario])
        if settled.holds(made.scenario, made.run):
            self.world.store.delete(feedback_key(made.scenario, made.run))
            if not same:
                self.replaced.add(made.container)
                made = replace(made, seed=made.seed + 1000, verdict=FOLDED)
            made.write(self.world.store)

    @rule(share=st.sampled_from([0.1, 0.2, 0.4]))
    def time_passes(self, share: float) -> None:
        """No call takes longer than the client's time limit: then it has failed, or what it sent has arrived."""
        passed = timedelta(seconds=share * ORPHANS_SECONDS)
        while self.world.in_flight:
            self.world.in_flight.pop()()
        for process in list(self.processes.values()):
            if self.world.elapsed + passed - process.called_at > LONGEST_CALL:
                process.step(Fault.UNREACHABLE)
        self.reap()
        self.world.elapsed += passed

    @invariant()
    def committed_versions_form_one_unbroken_chain(self) -> None:
        keys = [found.key for found in self.world.store.list(VERSIONS_PREFIX)]
        assert keys == [version_key(number) for number in range(1, len(keys) + 1)]
        for number in range(len(self.seen) + 1, len(keys) + 1):
            self.seen[number] = self.world.store.get(version_key(number))
            with suppress(Outdated):
                self.settled[number] = SettledLog(self.world.store).at(self.chain.version(number)).all()

    def teardown(self) -> None:
        try:
            for process in self.processes.values():
                process.kill()
            self.reap()
            if self.seen:
                self.settle_the_rest()
                self.committed_versions_form_one_unbroken_chain()
                collect(self.world.store, RETENTION)
                self.settled[len(self.seen)] = SettledLog(self.world.store).at(self.head()).all()
                self.examine()
        finally:
            shutil.rmtree(self.workspace)

    def settle_the_rest(self) -> None:
        for arrive in self.world.in_flight:
            arrive()
        while waiting := pending(self.world.store):
            self.settle(self.world.store, None, 3)
            assert len(pending(self.world.store)) < len(waiting), f"{waiting} can't be settled"

    def examine(self) -> None:
        chain = [Version.model_validate_json(self.seen[number]) for number in sorted(self.seen)]
        for version in chain:
            assert self.world.store.get(version_key(version.number)) == self.seen[version.number], "a version changed"
        assert self.head() == chain[-1], "the hint misleads"
        self.examine_settlement(chain)
        self.examine_parameters(chain)

    def examine_settlement(self, chain: list[Version]) -> None:
        verdicts: dict[Run, str] = {}
        for before, version in zip([None, *chain], chain, strict=False):
            now = {(item.scenario, item.run): FOLDED for item in version.folded}
            now |= {(item.scenario, item.run): item.reason for item in version.rejected}
            assert len(now) == len(version.folded) + len(version.rejected), "a run twice in one version"
            assert not now.keys() & verdicts.keys(), "a run in two versions"
            verdicts |= now
            for scenario, run in now:
                made = self.handed[scenario, run]
                assert before is not None
                stale = made.verdict not in ("WrongHash", "Unreadable") and made.generation < before.generation
                assert now[scenario, run] == ("OldGeneration" if stale else made.verdict)
            owners = {scenario for scenario, _ in verdicts}
            expected = {
                owner: merged((run, run) for scenario, run in verdicts if scenario == owner) for owner in owners
            }
            assert self.settled.get(version.number, expected) == expected
            assert version.folded_count + version.rejected_count == len(verdicts)
        lost = {run for run, made in self.handed.items() if made.acknowledged} - verdicts.keys()
        assert not lost, f"acknowledged, and in no version: {lost}"

    def examine_parameters(self, chain: list[Version]) -> None:
        """float32 tensors agree to one part in a million: sums are in float64, in another order."""
        fresh = {version.number: self.fresh[version.nonce] for version in chain if version.kind == "initial"}
        trained = {version.number: version.metrics["training"] for version in chain if version.kind == "meta-training"}
        assert len(set(trained.values())) == len(trained), "a training in two versions"
        fresh |= {number: parameters(int(training)) for number, training in trained.items()}
        handed = {run: Handed(made.gradients(), made.base_version) for run, made in self.handed.items()}
        states = replayed(chain, fresh, handed, PARAMETERS)
        kept = {found.key for found in self.world.store.list(CHECKPOINTS_PREFIX)}
        for version in chain:
            if version.checkpoint.key not in kept:
                assert version.number <= chain[-1].number - KEPT_VERSIONS, "a checkpoint went that must be kept"
                continue
            found = checkpoint_of(self.world.store, version)
            expected = states[version.number]
            assert found.keys() == expected.keys()
            for name in expected:
                np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-7)
