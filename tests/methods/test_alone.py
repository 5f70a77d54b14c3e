"""A method of one folder and its registrations keeps the contract of methods: that is the proof of the seam."""

from longtail_api.run_config import StepConfig
from longtail_api.store_layout import manifest_key, statistics_key, step_prefix
from longtail_api.store_objects import ModelCard, Statistics
from longtail_store import Store, read_object
from longtail_trainer.data.features import fit_features
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.models.registry import served_family
from longtail_trainer.models.weights import set_weights
from tests.methods.alone import ALONE
from tests.methods.alone.api import TrainAloneConfig
from tests.methods.contract import MethodContract, Place
from tests.methods.tables import SCHEMA


class AloneCase:
    method = ALONE
    max_flops = 3_000
    version = "light-1"

    def owner(self, place: Place) -> str:
        return place.owner(0)

    def configs(self, place: Place) -> list[StepConfig]:
        owner = self.owner(place)
        own = TrainAloneConfig(
            **place.base(owner, "t1"),
            manifest=manifest_key(owner, "v1"),
            light_version=self.version,
            epochs=3,
            max_flops=self.max_flops,
        )
        return [*place.prepares(1), own]

    def served(self, store: Store, card: ModelCard) -> ServedModel:
        features = fit_features(
            SCHEMA, read_object(store, statistics_key(card.scenario, card.data_version), Statistics)
        )
        model = served_family(card.model.family).build(card.model, features)
        set_weights(model, store.get(f"{step_prefix(card.scenario, 1, 'train-alone')}/weights.safetensors"))
        return model.eval()


class TestAlone(MethodContract):
    case = AloneCase()
