"""The truth that labels are drawn from: every scenario's and task's weights."""

from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.synthetic.arrays import Floats, Integers
from benchmarks.datasets.synthetic.directions import DIRECTIONS, FIRST_TASK, RELATIONS, SIGNAL
from benchmarks.datasets.synthetic.options import Options
from benchmarks.datasets.synthetic.profiles import REGIONS


@dataclass(frozen=True)
class Truth:
    """What the labels are drawn from."""

    relation: Floats
    """(tasks, tasks): cosines of the tasks' weight vectors, the same in every scenario."""
    weights: Floats
    """(scenarios, tasks, directions), unit vectors."""
    offsets: Floats
    """(scenarios, tasks), logits."""
    region_effects: Floats

    def probabilities(self, scenario: Integers, directions: Floats) -> Floats:
        """(rows, tasks), of the rows' scenarios and their (rows, directions)."""
        logits = self.offsets[scenario] + SIGNAL * np.einsum("rtd,rd->rt", self.weights[scenario], directions)
        return 1 / (1 + np.exp(-logits))


def _turn(random: np.random.Generator, angle: float) -> Floats:
    """A random rotation of all directions that turns a vector by about `angle` radians (Cayley transform)."""
    size = len(DIRECTIONS)
    noise = random.normal(size=(size, size))
    skew = (noise - noise.T) * (angle / 2 / np.sqrt(2 * (size - 1)))
    return np.asarray(np.linalg.solve(np.eye(size) - skew, np.eye(size) + skew), dtype=np.float64)


def truth(options: Options) -> Truth:
    random = np.random.default_rng([options.seed, 1])
    first = np.array(FIRST_TASK) / np.linalg.norm(FIRST_TASK)
    # Orthonormal: the first column is the first task, the others are each task's own part.
    basis, _ = np.linalg.qr(np.column_stack([first, random.normal(size=(len(DIRECTIONS), options.tasks))]))
    basis[:, 0] = first
    cosines = np.array(RELATIONS[: options.tasks])
    shared = np.outer(cosines, basis[:, 0]) + np.sqrt(1 - cosines**2)[:, None] * basis[:, 1:].T
    clusters = [shared @ _turn(random, options.cluster_angle).T for _ in range(options.clusters)]
    weights = np.stack(
        [clusters[i % options.clusters] @ _turn(random, options.scenario_angle).T for i in range(options.scenarios)]
    )
    effects = random.normal(size=len(REGIONS))
    return Truth(
        relation=np.asarray(shared @ shared.T, dtype=np.float64),
        weights=weights,
        offsets=random.normal(-0.7, 0.5, size=(options.scenarios, options.tasks)),
        region_effects=(effects - effects.mean()) / effects.std(),
    )
