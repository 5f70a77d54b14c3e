"""All that the decision about one HeavyModel may look at, and the pool that follows from it."""

from dataclasses import dataclass, field
from functools import cached_property

from longtail_api.heavy_model import HeavyModelSpec, HeavyModelStatus
from longtail_api.methods import METHODS
from longtail_api.shared_specs import TrainerOverrides
from longtail_operator.kubernetes.jobs import Workplace
from longtail_operator.kubernetes.objects import Json, key_of, labels_of
from longtail_operator.kubernetes.observed import Observed
from longtail_operator.scenario.world import HeavyModelView, ScenarioWorld, current_manifest, schema_hash
from longtail_operator.stores.view import StoreView

POOL_LIMIT = 64
"""How many names of the pool the status shows."""


@dataclass(frozen=True, kw_only=True)
class HeavyModelWorld(Observed):
    """One HeavyModel and everything around it, at one moment."""

    spec: HeavyModelSpec
    status: HeavyModelStatus
    scenarios: list[ScenarioWorld]
    """Those that refer to it and that it allows, without their children."""
    unreadable: list[Json] = field(default_factory=list[Json])
    """Those of which spec or status means nothing to this operator; each says so itself."""
    store: StoreView | None
    """None: not looked at yet."""
    folding: bool = False
    """Whether a fold is under way."""

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
class Pool:
    """The initial pool, as far as it is."""

    selected: int
    waiting: list[str]
    """Names of Scenarios whose data is still being prepared."""
    failed: list[str]
    names: list[str]
    """Namespace and name of those prepared, in the order of `manifests`."""
    manifests: list[str]


def pool_of(world: HeavyModelWorld) -> Pool:
    """The Scenarios that the selector selects, by how far their data is. One that failed or is suspended is not
    waited for."""
    wanted = world.spec.initialization.scenario_selector.match_labels
    selected = [s for s in world.scenarios if all(s.labels.get(name) == value for name, value in wanted.items())]
    prepared: list[tuple[str, str]] = []
    waiting: list[str] = []
    failed: list[str] = []
    for scenario in selected:
        name = f"{scenario.key.namespace}/{scenario.key.name}"
        manifest = current_manifest(scenario, world.view)
        if manifest is not None:
            prepared.append((manifest, name))
        elif scenario.status.run is not None and scenario.status.run.outcome == "Failed":
            failed.append(name)
        elif not scenario.spec.suspend:
            waiting.append(name)
    unreadable = [s for s in world.unreadable if all(labels_of(s).get(name) == value for name, value in wanted.items())]
    failed += [f"{key_of(scenario).namespace}/{key_of(scenario).name}" for scenario in unreadable]
    prepared.sort()
    return Pool(
        selected=len(selected) + len(unreadable),
        waiting=waiting,
        failed=failed,
        names=[name for _, name in prepared],
        manifests=[manifest for manifest, _ in prepared],
    )
