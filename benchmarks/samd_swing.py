"""SAMD's similarity of scenarios by shared entities (Eq. 3) at its size: time, memory, and how near it is.

    python -m benchmarks.samd_swing [--scenarios 1000] [--entities 1000000] [--json benchmarks/results/samd_swing.json]

Entities are in a power-law number of scenarios: 5 are drawn in the mean and 300 at most, and one that is drawn twice
counts once, which leaves fewer (the result says how many). Four of five are of the entity's own cluster, and scenarios
have power-law sizes. The error is that of pairs of scenarios drawn at random which share more than is looked at, and
few enough entities to look at all of them.
"""

import argparse
import resource
import sys
import time
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.comparison.results import Claim, exit_status, write_result
from longtail_trainer.data.entities import Keys
from longtail_trainer.methods.samd.swing import PAIRS, Floats, by_size, most_similar, swing

CLUSTERS = 20
MEAN_DEGREE, LARGEST_DEGREE = 5, 300
SIZE_EXPONENT = 0.8
OWN_CLUSTER = 0.8
SAMPLED, LARGEST_SHARED = 40, 3_000
NEIGHBORS = 10
SECONDS, MIB = 60, 2048


def degrees(entities: int, random: np.random.Generator) -> np.ndarray:
    """Power-law numbers of scenarios, whose exponent is the one of the wanted mean."""
    values = np.arange(1, LARGEST_DEGREE + 1)
    low, high = 1.0, 4.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = (values ** (1 - middle)).sum() / (values**-middle).sum()
        low, high = (middle, high) if mean > MEAN_DEGREE else (low, middle)
    shares = values**-low
    return random.choice(values, size=entities, p=shares / shares.sum())


def generated(scenarios: int, entities: int, seed: int = 0) -> list[Keys]:
    """Of each scenario its entities' hashes; scenario i is of cluster i modulo `CLUSTERS`."""
    random = np.random.default_rng(seed)
    hashes = np.sort(random.integers(0, 2**63, entities, dtype=np.uint64))
    who = np.repeat(np.arange(entities), degrees(entities, random))
    sizes = (random.permutation(scenarios) + 1.0) ** -SIZE_EXPONENT
    cluster = random.integers(0, CLUSTERS, entities)[who]
    own = random.random(len(who)) < OWN_CLUSTER
    where = random.choice(scenarios, size=len(who), p=sizes / sizes.sum())
    for number in range(CLUSTERS):
        members = np.arange(number, scenarios, CLUSTERS)
        mine = np.flatnonzero(own & (cluster == number))
        where[mine] = random.choice(members, size=len(mine), p=sizes[members] / sizes[members].sum())
    places = np.unique(where.astype(np.int64) * entities + who)
    return [
        hashes[one % entities] for one in np.split(places, np.searchsorted(places, np.arange(1, scenarios) * entities))
    ]


def exact(entities: list[Keys], one: int, other: int) -> float:
    """Sim of two scenarios by every pair of the entities that they share."""
    both = np.intersect1d(entities[one], entities[other], assume_unique=True)
    within = np.stack([np.isin(both, own, assume_unique=True) for own in entities], axis=1).astype(np.float32)
    weight = within.sum(1, dtype=np.float64) ** -0.5
    return float(weight @ (1 / (1 + within @ within.T)) @ weight)


def relative_errors(entities: list[Keys], found: Floats) -> list[float]:
    """Of pairs whose similarity is estimated, and of which every pair of entities can be looked at."""
    random = np.random.default_rng(1)
    errors: list[float] = []
    while len(errors) < SAMPLED:
        one, other = (int(number) for number in random.choice(len(entities), size=2, replace=False))
        if PAIRS < len(np.intersect1d(entities[one], entities[other], assume_unique=True)) <= LARGEST_SHARED:
            errors.append(abs(found[one, other] / exact(entities, one, other) - 1))
    return errors


def precision(similarity: Floats) -> float:
    """Share of the most similar that are of the scenario's own cluster."""
    found = most_similar(similarity, NEIGHBORS)
    return fmean(float((row % CLUSTERS == number % CLUSTERS).mean()) for number, row in enumerate(found) if len(row))


def claims(entities: list[Keys], found: Floats, seconds: float, mib: float, errors: list[float]) -> list[Claim]:
    """What it takes and gives."""
    sized = precision(by_size(found, entities))
    of_cluster = f"share of each scenario's {NEIGHBORS} most similar that are of its cluster"
    return [
        Claim(
            name="seconds of CPU, one thread",
            figure=round(seconds, 1),
            target=f"<= {SECONDS}",
            holds=seconds <= SECONDS,
        ),
        Claim(name="peak memory, MiB", figure=round(mib), target=f"<= {MIB}", holds=mib <= MIB),
        Claim(name="relative error of estimated pairs, mean", figure=round(fmean(errors), 4)),
        Claim(name="relative error of estimated pairs, largest", figure=round(max(errors), 4)),
        Claim(name=f"{of_cluster}, as printed", figure=round(precision(found), 4)),
        Claim(name=f"{of_cluster}, by size", figure=round(sized, 4), target=">= .9", holds=sized >= 0.9),
    ]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.samd_swing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--scenarios", type=int, default=1_000)
    result.add_argument("--entities", type=int, default=1_000_000)
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where a target is missed."""
    chosen = parser().parse_args(arguments)
    entities = generated(chosen.scenarios, chosen.entities)
    started = time.process_time()
    found = swing(entities)
    seconds = time.process_time() - started
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # of the generator, too
    of_entity = np.unique(np.concatenate(entities), return_counts=True)[1]
    told = claims(entities, found, seconds, mib, relative_errors(entities, found))
    for claim in told:
        print(claim.line())
    if chosen.json:
        command = f"python -m benchmarks.samd_swing --scenarios {chosen.scenarios} --entities {chosen.entities}"
        sizes = [len(own) for own in entities]
        row = {
            "scenarios": chosen.scenarios, "entities": len(of_entity), "pairs": PAIRS,
            "meanDegree": float(of_entity.mean()), "largestDegree": int(of_entity.max()),
            "smallestScenario": min(sizes), "largestScenario": max(sizes),
            "sharing": float((found > 0).sum() / (found.size - len(found))),
        }  # fmt: skip
        write_result(chosen.json, command, seconds, told, [row])
    return exit_status(told)


if __name__ == "__main__":
    sys.exit(main())
