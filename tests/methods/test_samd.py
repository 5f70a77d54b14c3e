"""SAMD keeps the contract of methods."""

from pathlib import Path

from longtail_api.methods.samd import Distillation, Representation, SamdConfig, SamdMember, SamdTraining
from longtail_api.run_config import StepConfig
from longtail_api.store_layout import manifest_key, step_prefix
from longtail_api.store_objects import Dcn, Dnn, LightFamily, Mmoe, ModelCard
from longtail_store import Store
from longtail_trainer.methods.samd import SAMD
from longtail_trainer.methods.samd.group import load_group
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.models.weights import set_weights
from tests.methods.contract import MethodContract, Place

MODELS: list[LightFamily] = [
    Mmoe(embedding_size=3, experts=2, expert_layers=[8], tower_layers=[4]),
    Dcn(embedding_size=3, cross_layers=1, layers=[8]),
]
FEATURES = [["slot", "visits", "age"], ["segment", "position"]]


class SamdCase:
    method = SAMD
    max_flops = 1_500
    version = "light-1"

    def owner(self, place: Place) -> str:
        return place.owner(1)

    def configs(self, place: Place) -> list[StepConfig]:
        return [*place.prepares(), self.own(place)]

    def own(self, place: Place) -> SamdConfig:
        """The first of the tables' scenarios is the super scenario."""
        return SamdConfig(
            **place.base("agnostic", "g1"),
            super_scenario=manifest_key(place.owner(0), "v1"),
            members=[
                SamdMember(
                    manifest=manifest_key(place.owner(number), "v1"),
                    light_version=self.version,
                    model=MODELS[number - 1],
                    features=FEATURES[number - 1],
                    attributes={"place": f"p{number}"},
                    max_flops=self.max_flops,
                )
                for number in (1, 2)
            ],
            general=Dnn(embedding_size=3, layers=[8, 6, 4]),
            representation=Representation(width=4, embedding_size=3, neighbors=1, epochs=1),
            distillation=Distillation(clusters=2, rows=16),
            training=SamdTraining(
                learning_rate="0.01", batch_size=32, general_epochs=2, rounds=2, epochs=2, patience=2
            ),
        )

    def served(self, store: Store, card: ModelCard) -> ServedModel:
        # Wherever that was: the data comes from the store.
        config = self.own(Place(Path("/tables"), Path("/store")))
        model = next(one.model for one in load_group(config, store).members if one.scenario == card.scenario)
        set_weights(model, store.get(f"{step_prefix(card.scenario, 1, 'samd')}/weights.safetensors"))
        return model.eval()


class TestSamd(MethodContract):
    case = SamdCase()
