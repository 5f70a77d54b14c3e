"""All that the decision about one Scenario may look at, and what follows from it without any choice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import MODEL_REVISION, HeavyModelSpec, HeavyModelStatus
from longtail_api.labels import RUN_ANNOTATION
from longtail_api.light_model_search import SearchSpace
from longtail_api.methods import METHODS
from longtail_api.scenario import ScenarioSpec, ScenarioStatus
from longtail_api.store_layout import manifest_key, scenario_key
from longtail_api.store_objects import ModelCard
from longtail_operator.kubernetes.identity import child_base, identity
from longtail_operator.kubernetes.jobs import Workplace
from longtail_operator.kubernetes.objects import Json, Key, annotations_of, key_of, labels_of, uid_of
from longtail_operator.kubernetes.observed import Observed
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.stores.view import Membership

STORE_RETRY_SECONDS = 15.0
"""How often a store is asked again that did not answer."""
NEEDS_A_PERSON = frozenset(
    {
        Reason.INVALID_SPEC,
        Reason.MODEL_NOT_FOUND,
        Reason.TARGET_NOT_FOUND,
        Reason.NAMESPACE_NOT_ALLOWED,
        Reason.STORE_TAKEN,
    }
)
"""Reasons of Ready for which nothing of a Scenario, or of a search, goes on."""


@dataclass(frozen=True)
class HeavyModelView:
    """The HeavyModel of a Scenario, as that Scenario sees it."""

    key: Key
    spec: HeavyModelSpec
    status: HeavyModelStatus
    pool: frozenset[str] | None
    """Manifest keys of the generation's initial pool; None where they are not read from the store yet."""

    @property
    def store_trouble(self) -> Trouble | None:
        """Why its store can't be used now; None where it can, or where nobody has looked yet."""
        known = next((one for one in self.status.conditions if one.type == ConditionType.STORE_READY), None)
        return Trouble(known.reason, known.message) if known is not None and known.status == "False" else None


@dataclass(frozen=True, kw_only=True)
class ScenarioWorld(Observed):
    """One Scenario and everything around it, at one moment."""

    spec: ScenarioSpec
    status: ScenarioStatus
    heavy_model: HeavyModelView | None
    admitted: bool = True
    """Whether maxConcurrentRuns leaves room for this Scenario to have a Job."""
    holders: str = ""
    """Who has the places where there is none for it."""
    upgrade_held: Trouble | None = None
    """Why a new serving image is not tried on what serves now; None where it may be."""
    pinned_card: ModelCard | Trouble | None = None
    """The store's record of spec.serving.pinnedVersion; None where it has none; or why it can't be told."""
    memberships: Mapping[str, Membership] = field(default_factory=dict[str, Membership])
    """By step: what the newest finished group steps of its HeavyModel have for it."""
    last_run: int | Trouble = 0
    """The highest run number that the store knows, or why it can't be told. Read where the status names no run."""

    hashes: dict[str, tuple[HeavyModelSpec, str]] = field(default_factory=dict[str, tuple[HeavyModelSpec, str]])
    """What was computed of its spec, each with the HeavyModel's spec that it was computed for. Shared by all worlds of
    one spec."""

    @cached_property
    def store_key(self) -> str:
        return store_key_of(self.raw)

    @cached_property
    def base(self) -> str:
        """What the names of its children begin with."""
        return child_base(self.key.name)

    @property
    def paused(self) -> bool:
        """Whether what carries out its run is to stand still."""
        return self.spec.suspend or not self.admitted

    @property
    def run_annotation(self) -> str | None:
        return annotations_of(self.raw).get(RUN_ANNOTATION)

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.raw)


def store_key_of(scenario: Json) -> str:
    """Under which a Scenario's objects are in the store."""
    key = key_of(scenario)
    return scenario_key(key.namespace, key.name, uid_of(scenario))


def tables(spec: ScenarioSpec, heavy_model: HeavyModelSpec) -> dict[str, Any]:
    """The addresses of the three tables: the Scenario's own where it gives one, else the HeavyModel's."""
    return {
        "samples": spec.data.samples or heavy_model.data.samples,
        "profile": spec.data.profile or heavy_model.data.profile,
        "behaviors": {**heavy_model.data.behaviors, **spec.data.behaviors},
    }


def source_key(world: ScenarioWorld) -> str:
    return world.spec.data.scenario_key or world.key.name


def source_hash(world: ScenarioWorld, heavy_model: HeavyModelView) -> str:
    """Hash of what prepared data depends on."""
    known = world.hashes.get("source")
    if known is None or known[0] is not heavy_model.spec:
        digest = identity(
            tables=tables(world.spec, heavy_model.spec),
            source_key=source_key(world),
            schema=heavy_model.spec.data_schema.to_json_dict(),
        )
        known = world.hashes["source"] = heavy_model.spec, digest
    return known[1]


def current_manifest(world: ScenarioWorld, heavy_model: HeavyModelView) -> str | None:
    """Manifest key of the Scenario's prepared data; None where there is none of the present schema and tables."""
    data = world.status.data
    if data is None or data.source_hash != source_hash(world, heavy_model):
        return None
    return manifest_key(world.store_key, data.version)


def trigger_hash(world: ScenarioWorld, heavy_model: HeavyModelView) -> str:
    """Hash of the fields whose change starts a run: the data, the schema, the light model and its budget.

    Whether the Scenario serves is one of them, since it decides which steps there are.
    """
    light = world.spec.light.to_json_dict()
    # When to search again is no reason to run again.
    light.pop("search", None)
    return identity(
        source=source_hash(world, heavy_model),
        light=light,
        budget=world.spec.budget.to_json_dict(),
        serves=world.spec.serving is not None,
    )


def schema_hash(spec: HeavyModelSpec) -> str:
    """Hash of schema, encoder, architecture, and of how the trainer builds these: one per generation."""
    return identity(
        schema=spec.data_schema.to_json_dict(),
        encoder=spec.encoder,
        architecture=spec.architecture.to_json_dict(),
        revision=MODEL_REVISION,
    )


def nothing_to_attend_to(field: str, space: SearchSpace, heavy_model: HeavyModelView) -> Trouble | None:
    """Why light models of this space can't be: `field` asks for attention between features that nothing relates."""
    if not space.target_attention or heavy_model.spec.data_schema.relates_candidate_and_history():
        return None
    return Trouble(
        Reason.INVALID_SPEC,
        f"{field}: no context feature of HeavyModel {heavy_model.key.name} shares a vocabulary with a behavior "
        "sequence; name one in its schema.sharedVocabularies, or set this to false",
    )


def secret_name(world: ScenarioWorld, heavy_model: HeavyModelView) -> str | None:
    """The Secret in the Scenario's namespace: its own, else one named as the HeavyModel's is."""
    own = world.spec.storage.credentials_secret_ref
    shared = heavy_model.spec.storage.credentials_secret_ref
    return own.name if own else (shared.name if shared else None)


def workplace(world: ScenarioWorld, heavy_model: HeavyModelView) -> Workplace:
    return Workplace(
        owner=world.raw,
        settings=world.settings,
        storage=heavy_model.spec.storage,
        secret=secret_name(world, heavy_model),
        trainer=heavy_model.spec.trainer,
        overrides=world.spec.trainer,
        suspended=world.paused,
        distributed=METHODS[heavy_model.spec.method].distributed,
    )
