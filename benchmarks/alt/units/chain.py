"""chain: scenarios arrive one after the other, and start from the version committed so far (MeH).

The emerging ones, whose rows version 1 has not learned, give feedback.
"""

from collections.abc import Sequence

from benchmarks.alt.methods import ADAPTED, ADAPTED_AGAIN, BEFORE, BEFORE_AGAIN, FINAL
from benchmarks.alt.rows import OTHER_SEED, Outcome, Row, Unit, folding_name
from benchmarks.alt.units.arrivals import Fold, Start, events
from benchmarks.alt.units.repetition import arrival_order
from benchmarks.alt.units.workplace import Prepared, Workplace, identity, owner
from benchmarks.comparison.rows import figures
from longtail_api.methods.alt import AdaptConfig
from longtail_api.store_layout import result_key
from longtail_api.store_objects import Metric, StepResult
from longtail_operator.meta_update.fold import fold
from longtail_store import Chain, Store
from longtail_trainer.data.loading import load_manifest, load_split
from longtail_trainer.methods.alt.teacher import load_version
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.scoring import predict

RUN = 1
ORPHANS_SECONDS = 86_400.0


def pool_unit(unit: Unit) -> Unit:
    """What the chain begins with: the same for every way of folding."""
    return Unit(kind="pool", seed=unit.seed, encoder=unit.encoder, initial=unit.initial, variant=unit.variant)


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """Outputs: `heavyResults`, the key of each scenario's adapt result; `seconds` of each; `version`, the last one."""
    prepared = Prepared.of(workplace, unit.seed)
    store = workplace.copied_store(pool_unit(unit), unit)
    order = arrival_order(list(prepared.manifests), unit.seed)
    version = 1
    results: dict[str, StepResult] = {}
    for event in events(len(order), unit.folding, learned=unit.initial):
        if isinstance(event, Fold):
            version += _folded(store, [order[number] for number in event.arrivals], results, unit, workplace)
        else:
            scenario = order[event.arrival]
            results[scenario] = _adapted(event, scenario, version, prepared.manifests[scenario], unit, workplace)
    final = load_version(store, Chain(store).version(version))
    rows = [row for scenario in order for row in _rows(scenario, results[scenario], final, prepared, store, unit)]
    return Outcome(
        rows=rows,
        outputs={
            "heavyResults": {scenario: result_key(owner(scenario), RUN, "adapt") for scenario in order},
            "seconds": {scenario: result.seconds for scenario, result in results.items()},
            "version": version,
        },
    )


def _adapted(event: Start, scenario: str, version: int, manifest: str, unit: Unit, workplace: Workplace) -> StepResult:
    config = AdaptConfig(
        store=workplace.address(unit),
        identity=identity({"scenario": scenario, "version": version, "seed": unit.training_seed()}),
        owner=owner(scenario),
        run=RUN,
        seed=unit.training_seed(),
        threads=workplace.protocol.threads,
        manifest=manifest,
        base_version=version,
        training=workplace.protocol.training,
        feedback=event.teaches,
    )
    return workplace.carry_out(unit, config)


def _folded(
    store: Store, scenarios: Sequence[str], results: dict[str, StepResult], unit: Unit, workplace: Workplace
) -> int:
    """Versions that the fold added: 0 where none of the runs had feedback to give.

    Counted, not read from the chain: where an interrupted unit begins again, the chain is ahead of it.
    """
    runs = [(owner(scenario), RUN) for scenario in scenarios if results[scenario].outputs["feedbackKey"]]
    if not runs:
        return 0
    parameters = workplace.protocol.meta_update.model_copy(
        update={"staleness_exponent": unit.folding.staleness_exponent}
    )
    fold(store, runs, parameters, orphans_seconds=ORPHANS_SECONDS)
    return 1


def _rows(
    scenario: str, result: StepResult, final: RankingModel, prepared: Prepared, store: Store, unit: Unit
) -> list[Row]:
    manifest = load_manifest(store, prepared.manifests[scenario])
    test = load_split(store, manifest, "test", final.features)

    def row(method: str, metrics: dict[str, Metric], seconds: float | None = None) -> Row:
        return Row(
            seed=unit.seed,
            scenario=scenario,
            method=method,
            encoder=unit.encoder or "",
            initial=unit.initial,
            folding=folding_name(unit.folding),
            training_rows=manifest.rows["support"] + manifest.rows["query"],
            flops=result.flops,
            parameters=sum(parameter.numel() for parameter in final.parameters()),
            seconds=seconds,
            **figures(metrics),
        )

    if unit.variant == OTHER_SEED:
        return [
            row(ADAPTED_AGAIN, result.metrics["test"], result.seconds),
            row(BEFORE_AGAIN, result.metrics["agnosticTest"]),
        ]
    return [
        row(ADAPTED, result.metrics["test"], result.seconds),
        row(BEFORE, result.metrics["agnosticTest"]),
        row(FINAL, evaluate(predict(final, test), test, final.features)),
    ]
