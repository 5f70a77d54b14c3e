"""The scenarios of a group as it is trained: their data, their sub-models, and who can't take part."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch

from longtail_api.methods.samd import SamdConfig, SamdMember
from longtail_api.store_objects import TRAINING_SPLITS, Features, Manifest, Statistics
from longtail_store import Store
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.loading import encoded_parts, load_manifest, load_split, load_statistics
from longtail_trainer.data.prepare.statistics import merge
from longtail_trainer.data.seen_categories import SeenCategories
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.models.registry import served_family
from longtail_trainer.running.errors import BudgetUnreachable, ConfigInvalid, DataInvalid, UserError
from longtail_trainer.training.scoring import can_judge
from longtail_trainer.training.seeds import epoch_seed, seeded

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """A scenario of the group.

    rows: its training rows, encoded with all scenarios' features. model: fresh, of the categories that they have;
    own_rows, own_validation: as it reads them. depth: M_i, the number of its layers.
    """

    config: SamdMember
    manifest: Manifest
    rows: EncodedSplit
    own_rows: EncodedSplit
    own_validation: EncodedSplit
    model: ServedModel
    depth: int

    @property
    def scenario(self) -> str:
        """Its key."""
        return self.manifest.scenario


@dataclass(frozen=True)
class Group:
    """features: of all scenarios' training rows together. super_rows: the super scenario's training rows. refused: by
    scenario key, why it takes no part."""

    features: Features
    super_manifest: Manifest
    super_rows: EncodedSplit
    members: list[Member]
    refused: dict[str, UserError]


def load_group(config: SamdConfig, store: Store) -> Group:
    """Read all training rows, and build the sub-models.

    A scenario that has no row to learn from, or whose sub-model can't be built or exceeds its FLOPs, is left out; where
    none is left, the first one's reason is raised. Raises `DataInvalid` where data is missing or damaged, or the super
    scenario teaches nothing, and `ConfigInvalid` where scenarios were prepared with different schemas, or come twice.
    """
    super_manifest = load_manifest(store, config.super_scenario)
    manifests = [load_manifest(store, member.manifest) for member in config.members]
    everyone = [super_manifest, *manifests]
    _check(config, everyone)
    statistics = reduce(merge, (load_statistics(store, manifest) for manifest in everyone), Statistics())
    features = fit_features(super_manifest.data_schema, statistics)
    super_rows = _training_rows(store, super_manifest, features)
    if not can_judge(super_rows):
        raise DataInvalid(
            f"{config.super_scenario}: the super scenario has no training row with a label; choose one that has many"
        )
    members: list[Member] = []
    refused: dict[str, UserError] = {}
    for wanted, manifest in zip(config.members, manifests, strict=True):
        try:
            members.append(_member(config, wanted, manifest, features, store))
        except UserError as error:
            log.warning("%s takes no part: %s", manifest.scenario, error.message)
            refused[manifest.scenario] = error
    if not members:
        raise next(iter(refused.values()))
    return Group(features, super_manifest, super_rows, members, refused)


def _check(config: SamdConfig, manifests: Sequence[Manifest]) -> None:
    keys = [manifest.scenario for manifest in manifests]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ConfigInvalid(f"members: {', '.join(twice)} comes twice, or is the super scenario; name each once")
    ours = manifests[0].data_schema
    for manifest in manifests[1:]:
        theirs = manifest.data_schema
        if (theirs.labels, theirs.context, theirs.profile, theirs.behaviors) != (
            ours.labels,
            ours.context,
            ours.profile,
            ours.behaviors,
        ):
            raise ConfigInvalid(
                f"{manifest.scenario}: was prepared with another schema than {keys[0]}; prepare both again"
            )
    if config.distillation.clusters > len(config.members):
        raise ConfigInvalid(
            f"distillation.clusters: {config.distillation.clusters} are more than the {len(config.members)} scenarios "
            "of the group; lower it to that at most"
        )


def _training_rows(store: Store, manifest: Manifest, features: Features) -> EncodedSplit:
    return concatenate(encoded_parts(store, [manifest], TRAINING_SPLITS, features))


def _member(config: SamdConfig, wanted: SamdMember, manifest: Manifest, features: Features, store: Store) -> Member:
    """Raises `DataInvalid`, `ConfigInvalid` and `BudgetUnreachable`."""
    rows = _training_rows(store, manifest, features)
    if not can_judge(rows):
        raise DataInvalid(f"{wanted.manifest}: no training row has a label; add samples, or lower the other splits")
    seen = SeenCategories.of(features, rows)
    with seeded(epoch_seed(config.seed, f"sub-model of {manifest.scenario}")):
        model = served_family(wanted.model.family).build(wanted.model, seen.features, wanted.features)
    if wanted.max_flops is not None and model.flops() > wanted.max_flops:
        raise BudgetUnreachable(
            f"budget.maxFlops: the sub-model of {manifest.scenario} needs {model.flops()} FLOPs, above "
            f"{wanted.max_flops}; raise the budget, choose narrower layers, or fewer features"
        )
    own_rows = seen.encoded(rows)
    with torch.no_grad():
        depth = len(model.eval().hidden(own_rows.select(torch.arange(1))))
    if depth == 1 and config.distillation.transfer_weights == "StudentLayers":
        raise ConfigInvalid(
            f"light.model of {manifest.scenario}: has one layer, whose weights (transferWeights: StudentLayers) are 1 "
            "whatever its scenario is like; give it another layer, or choose AllPairs"
        )
    own_validation = seen.encoded(load_split(store, manifest, "validation", features))
    return Member(wanted, manifest, rows, own_rows, own_validation, model, depth)
