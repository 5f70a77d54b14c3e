"""The heavy model of ALT, Sec. III-B: profile encoder, one behavior encoder per sequence, prediction module."""

from longtail_trainer.heavy.model import HeavyModel
from longtail_trainer.heavy.teacher import load_heavy, load_version, predict, teacher_logits

__all__ = ["HeavyModel", "load_heavy", "load_version", "predict", "teacher_logits"]
