"""ALT keeps the contract of methods."""

from longtail_api.architecture import Architecture, Training
from longtail_api.light_model_search import Algorithm, GdasParameters, SearchSpace, Teacher
from longtail_api.methods.alt import (
    AdaptConfig,
    InitializeConfig,
    LightTraining,
    MetaTrainConfig,
    SearchConfig,
    TrainLightConfig,
)
from longtail_api.run_config import StepConfig
from longtail_api.store_layout import architecture_key, manifest_key, result_key, step_prefix
from longtail_api.store_objects import TRAINING_SPLITS, Features, MetaUpdateParameters, ModelCard
from longtail_store import Store
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.loading import encoded_parts, load_manifest
from longtail_trainer.data.seen_categories import SeenCategories
from longtail_trainer.methods.alt import ALT
from longtail_trainer.methods.alt.teacher import load_heavy
from longtail_trainer.methods.alt.transfer import transfer_rows
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.models.registry import served_family
from longtail_trainer.models.weights import set_weights
from tests.methods.contract import MethodContract, Place
from tests.methods.tables import SCHEMA

SMALL = Architecture(behavior_width=4, behavior_layers=1, profile_layers=[8], prediction_layers=[8], embedding_size=3)
TRAINING = Training(epochs=3, fine_tune_epochs=2, batch_size=64, fine_tune_batch_size=32, learning_rate="0.01")
TEACHER = Teacher(transfer_rows=60)


class AltCase:
    method = ALT
    max_flops = 6_000
    version = "light-1"

    def owner(self, place: Place) -> str:
        return place.owner(0)

    def configs(self, place: Place) -> list[StepConfig]:
        owner = self.owner(place)
        pool = [manifest_key(place.owner(number), "v1") for number in (1, 2)]
        own = manifest_key(owner, "v1")
        from_heavy = {"manifest": own, "base_version": 1, "heavy_result": result_key(owner, 1, "adapt")}
        return [
            *place.prepares(),
            InitializeConfig(
                **place.base("agnostic", "i1"),
                data_schema=SCHEMA,
                schema_hash="h1",
                architecture=SMALL,
                training=TRAINING,
                pool=pool,
            ),
            MetaTrainConfig(
                **place.base("agnostic", "m1", run=2),
                generation=1,
                base_version=1,
                manifests=pool,
                training=TRAINING,
                parameters=MetaUpdateParameters(learning_rate=0.1, staleness_exponent=0.5, clip_norm=1.0),
                rounds=2,
                episode_epochs=1,
            ),
            AdaptConfig(**place.base(owner, "a1"), manifest=own, base_version=1, training=TRAINING),
            SearchConfig(
                **place.base(owner, "s1"),
                **from_heavy,
                algorithm=Algorithm(gdas=GdasParameters(epochs=3)),
                search_space=SearchSpace(width=4, layers=2, operations=["conv1", "conv3", "max_pool3"]),
                teacher=TEACHER,
                max_flops=self.max_flops,
            ),
            TrainLightConfig(
                **place.base(owner, "t1"),
                **from_heavy,
                search_result=architecture_key(owner, 1),
                light_version=self.version,
                teacher=TEACHER,
                training=TRAINING,
                light_training=LightTraining(epochs=3, batch_size=32),
                max_flops=self.max_flops,
            ),
        ]

    def served(self, store: Store, card: ModelCard) -> ServedModel:
        teacher = load_heavy(store, result_key(card.scenario, 1, "adapt"))
        seen = SeenCategories.of(teacher.features, self._taught_rows(store, card, teacher.features))
        model = served_family(card.model.family).build(card.model, seen.features)
        set_weights(model, store.get(f"{step_prefix(card.scenario, 1, 'train-light')}/weights.safetensors"))
        return model.eval()

    def _taught_rows(self, store: Store, card: ModelCard, features: Features) -> EncodedSplit:
        """What the light model was trained on: it knows the categories of these rows alone."""
        manifest = load_manifest(store, manifest_key(card.scenario, card.data_version))
        others = transfer_rows(store, 1, features, card.scenario, TEACHER.transfer_rows, seed=3)
        return concatenate([*encoded_parts(store, [manifest], TRAINING_SPLITS, features), others])


class TestAlt(MethodContract):
    case = AltCase()
