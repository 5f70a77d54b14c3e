"""All that the decision about one HeavyModel may look at, and the pool that follows from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from longtail_api.conditions import ConditionType
from longtail_api.heavy_model import HeavyModelSpec, HeavyModelStatus
from longtail_api.methods import METHODS
from longtail_api.shared_specs import Storage, TrainerOverrides
from longtail_operator.kubernetes.conditions import shortened
from longtail_operator.kubernetes.jobs import Workplace
from longtail_operator.kubernetes.objects import Json, Key, key_of, labels_of
from longtail_operator.kubernetes.observed import Observed
from longtail_operator.scenario.world import (
    NEEDS_A_PERSON,
    HeavyModelView,
    ScenarioWorld,
    current_manifest,
    schema_hash,
)
from longtail_operator.stores.view import StoreView

POOL_LIMIT = 64
"""How many names of the pool the status shows."""
WORDS_OF_ONE = 200
"""So many characters of what a Scenario says of itself stand in its HeavyModel's conditions."""


@dataclass(frozen=True)
class Members:
    """The Scenarios of a HeavyModel."""

    scenarios: list[ScenarioWorld]
    """Without their children."""
    unreadable: list[Json] = field(default_factory=list[Json])
    """Those of which spec or status means nothing to this operator; each says so itself."""


@dataclass(frozen=True, kw_only=True)
class HeavyModelWorld(Observed):
    """One HeavyModel and everything around it, at one moment."""

    spec: HeavyModelSpec
    status: HeavyModelStatus
    scenario_count: int
    """How many Scenarios refer to it, of those that it allows."""
    read_members: Callable[[], Members]
    """Those Scenarios. Read where a decision needs them: a HeavyModel that stands may have ten thousand."""
    store: StoreView | None
    """None: not looked at yet."""
    folding: bool = False
    """Whether a fold is under way."""
    other_stores: list[tuple[Key, Storage]] = field(default_factory=list[tuple[Key, Storage]])
    """Those of the other HeavyModels."""

    @cached_property
    def members(self) -> Members:
        return self.read_members()

    @cached_property
    def schema_hash(self) -> str:
        return schema_hash(self.spec)

    @cached_property
    def view(self) -> HeavyModelView:
        return HeavyModelView(self.key, self.spec, self.status, None)

    @cached_property
    def workplace(self) -> Workplace:
        """Where its own Jobs run."""
        spec, secret = self.spec, self.spec.storage.credentials_secret_ref
        return Workplace(
            owner=self.raw,
            settings=self.settings,
            storage=spec.storage,
            secret=secret.name if secret else None,
            trainer=spec.trainer,
            overrides=TrainerOverrides(),
            suspended=False,
            distributed=METHODS[spec.method].distributed,
        )


@dataclass(frozen=True)
class Absentee:
    """A Scenario of the pool whose data is not prepared."""

    name: str
    why: str
    coming: bool
    """Whether it is at work on it. One that failed, is suspended, or can't go on before a person acts, is not."""


@dataclass(frozen=True)
class Pool:
    """The initial pool, as far as it is."""

    selected: int
    absent: list[Absentee]
    names: list[str]
    """Namespace and name of those prepared, in the order of `manifests`."""
    manifests: list[str]


def pool_of(world: HeavyModelWorld) -> Pool:
    """The Scenarios that the selector selects, by how far their data is."""
    wanted = world.spec.initialization.scenario_selector.match_labels
    selected = [
        s for s in world.members.scenarios if all(s.labels.get(name) == value for name, value in wanted.items())
    ]
    prepared: list[tuple[str, str]] = []
    absent: list[Absentee] = []
    for scenario in selected:
        manifest = current_manifest(scenario, world.view)
        if manifest is not None:
            prepared.append((manifest, f"{scenario.key.namespace}/{scenario.key.name}"))
        else:
            absent.append(_absentee(world, scenario))
    unreadable = [
        s for s in world.members.unreadable if all(labels_of(s).get(name) == value for name, value in wanted.items())
    ]
    absent += [
        Absentee(f"{key.namespace}/{key.name}", "its spec or status can't be read", coming=False)
        for key in map(key_of, unreadable)
    ]
    prepared.sort()
    return Pool(
        selected=len(selected) + len(unreadable),
        absent=absent,
        names=[name for _, name in prepared],
        manifests=[manifest for manifest, _ in prepared],
    )


def _absentee(world: HeavyModelWorld, scenario: ScenarioWorld) -> Absentee:
    run, conditions = scenario.status.run, {one.type: one for one in scenario.status.conditions}
    ready = conditions.get(ConditionType.READY)
    failed = run is not None and run.outcome == "Failed"
    # What was said of an older spec may be mended by now.
    blocked = ready is not None and ready.reason in NEEDS_A_PERSON and ready.observed_generation == scenario.generation
    said = conditions.get(ConditionType.FAILED if failed else ConditionType.READY)
    why = "not looked at yet"
    if scenario.spec.suspend:
        why = "suspended"
    elif said is not None:
        # What stands in a Scenario of another namespace is for those who may read it there.
        own = scenario.key.namespace == world.key.namespace
        why = shortened(f"{said.reason}: {said.message}" if own and said.message else said.reason, WORDS_OF_ONE)
    name = f"{scenario.key.namespace}/{scenario.key.name}"
    return Absentee(name, why, coming=not (failed or blocked or scenario.spec.suspend))
