"""The light model of a scenario: static features, one searched encoder per behavior sequence, distillation."""

from longtail_trainer.light.distillation import DistillationLosses, with_teacher
from longtail_trainer.light.model import LightModel, predefined_architecture

__all__ = ["DistillationLosses", "LightModel", "predefined_architecture", "with_teacher"]
