"""SAMD: sub-models of many scenarios, distilled from one general model as the scenarios' resemblance tells."""

from longtail_api.methods.samd import SAMD as API
from longtail_trainer.running.steps import Method

SAMD = Method(API, {"samd": "longtail_trainer.methods.samd.samd"})
