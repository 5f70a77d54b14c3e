"""Pictures of a run: each a pure function from what was recorded to the text of an SVG.

The same input gives the same bytes. They are written by hand, from lines, boxes and text: matplotlib and what it needs
would add 70 MB to the trainer image for four kinds of picture. `publication` puts them into the store.
"""

from longtail_trainer.pictures.cell import CellParts, cell
from longtail_trainer.pictures.learning_curves import Curve, Kept, learning_curves, loss_curves
from longtail_trainer.pictures.probabilities import Distribution, probabilities
from longtail_trainer.pictures.publication import publish, published
from longtail_trainer.pictures.quality_cost import Candidates, Model, quality_cost

__all__ = [
    "Candidates",
    "CellParts",
    "Curve",
    "Distribution",
    "Kept",
    "Model",
    "cell",
    "learning_curves",
    "loss_curves",
    "probabilities",
    "publish",
    "published",
    "quality_cost",
]
