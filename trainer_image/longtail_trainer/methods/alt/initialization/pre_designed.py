"""The pre-designed heavy model, and what its search varies (ALT III-B, Fig. 3)."""

from longtail_api.architecture import Architecture, Training
from longtail_api.base import ApiModel
from longtail_api.initialization_search import HyperparameterSpace
from longtail_trainer.search.spaces.decisions import Choice
from longtail_trainer.search.spaces.fields import FieldSpace


class PreDesigned(ApiModel):
    """What one trial trains: the architecture, and how."""

    architecture: Architecture = Architecture()
    training: Training = Training()


def space_of(spec: HyperparameterSpace, base: PreDesigned) -> FieldSpace[PreDesigned]:
    """The space that a HeavyModel's `initialization.search` names, round the values of its spec.

    The default is that of ALT, Fig. 3, of 36 candidates: `learning_rate`, `deep_layers_dim`,
    `num_encoder_in_transformer` (here of either kind of encoder) and `prediction_module_dim`.
    """
    return FieldSpace(
        decisions=(
            Choice("training.learning_rate", tuple(spec.learning_rate)),
            Choice("architecture.profile_layers", tuple(spec.profile_layers)),
            Choice("architecture.behavior_layers", tuple(spec.behavior_layers)),
            Choice("architecture.prediction_layers", tuple(spec.prediction_layers)),
        ),
        base=base,
    )
