"""Hyper-parameter search over a pre-designed architecture (ALT III-B, Fig. 3; IV-C): samplers, space, and the search.

`docs/decisions/hyperparameter-search.md` says how a step calls `best_architecture`.
"""

from longtail_trainer.hyperparameters.heavy_objective import best_architecture
from longtail_trainer.hyperparameters.racos import RacosSampler
from longtail_trainer.hyperparameters.search import Limits, NoTrialCompleted, Result, search
from longtail_trainer.hyperparameters.space import PAPER_SPACE, Candidate, Choices, Decimals, Integers, Space
from longtail_trainer.hyperparameters.trial import Report, TrialRecord

__all__ = [
    "PAPER_SPACE",
    "Candidate",
    "Choices",
    "Decimals",
    "Integers",
    "Limits",
    "NoTrialCompleted",
    "RacosSampler",
    "Report",
    "Result",
    "Space",
    "TrialRecord",
    "best_architecture",
    "search",
]
