"""One figure row of ALT's comparison, and the pieces of work that rows come from."""

from benchmarks.alt.protocol import FirstEncoder, Folding
from benchmarks.comparison.rows import FigureRow, Work
from benchmarks.comparison.rows import Outcome as AnyOutcome

OTHER_SEED = "other seed"
"""Variant of a pool and of a chain that are trained with another seed on what the repetition drew."""


class Unit(Work):
    """A piece of work; `kind` is one of `units.KINDS`. Fields that a kind doesn't use have their defaults."""

    encoder: FirstEncoder | None = None
    """None for what has no behavior encoder."""
    initial: int = 0
    """Initial scenarios; 0 where they don't matter."""
    folding: Folding = Folding()
    scenario: str = ""
    variant: str = ""

    def title(self) -> str:
        words = [self.kind, f"seed {self.seed}", self.encoder or "", f"initial {self.initial}" if self.initial else ""]
        words += [self.scenario, self.variant, folding_name(self.folding)]
        return ", ".join(word for word in words if word)

    def training_seed(self) -> int:
        """What weights and shuffles follow from; all that is drawn of the data follows from `seed`."""
        return self.seed + 1000 if self.variant.endswith(OTHER_SEED) else self.seed


class Row(FigureRow):
    """pipeline_seconds: from the tables to the exported light model, the pool's training aside. Latency: milliseconds
    of one prediction at batch 1 and maxLength events."""

    encoder: str = ""
    initial: int = 0
    folding: str = ""
    pipeline_seconds: float | None = None
    p50_milliseconds: float | None = None
    p99_milliseconds: float | None = None
    architecture: str = ""


class Outcome(AnyOutcome[Row]):
    """What a unit left."""


def folding_name(folding: Folding) -> str:
    """Empty for the protocol's own: one scenario at a time, its feedback folded before the next one starts."""
    if folding == Folding():
        return ""
    if folding.mode == "Frozen":
        return "frozen agnostic"
    if folding.mode == "Synchronous":
        return f"synchronous, {folding.in_flight} at a time"
    return f"asynchronous, {folding.in_flight} in flight, exponent {folding.staleness_exponent:g}"
