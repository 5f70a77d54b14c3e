"""A method of one step, as small as there can be: each scenario trains a light model of its own, and shares nothing."""

from longtail_trainer.running.steps import Method
from tests.methods.alone.api import API

ALONE = Method(API, {"train-alone": "tests.methods.alone.train_alone"})
