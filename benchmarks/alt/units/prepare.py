"""prepare: the samples as this seed splits them, and every scenario's data version."""

from benchmarks.alt.rows import Outcome, Unit
from benchmarks.alt.units.workplace import Workplace, identity, owner
from benchmarks.comparison.dataset import scenario_names
from benchmarks.comparison.folds import drawn_samples
from longtail_api.run_config import PrepareConfig
from longtail_trainer.running.errors import DataInvalid


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """Outputs are the fields of `Prepared`. A scenario whose label can't be learned is skipped, with the reason."""
    dataset, protocol = workplace.dataset, workplace.protocol
    scenarios = scenario_names(dataset, protocol.scenarios)
    samples, schema = drawn_samples(dataset, scenarios, protocol.splits, unit.seed, workplace.cache.tables(unit))
    manifests: dict[str, str] = {}
    seconds: dict[str, float] = {}
    skipped: dict[str, str] = {}
    for scenario in scenarios:
        config = PrepareConfig(
            store=workplace.address(unit),
            identity=identity({"scenario": scenario, "seed": unit.seed}),
            owner=owner(scenario),
            run=1,
            seed=unit.seed,
            threads=protocol.threads,
            data_schema=schema,
            samples=samples,
            profile=dataset.profile(),
            behaviors=dataset.behaviors(),
            source_key=scenario,
            data_version="v1",
        )
        try:
            result = workplace.carry_out(unit, config)
        except DataInvalid as error:
            skipped[scenario] = error.message
            continue
        manifests[scenario] = result.outputs["manifest"]
        seconds[scenario] = result.seconds
    return Outcome(outputs={"manifests": manifests, "seconds": seconds, "skipped": skipped})
