"""pool: version 1 of the agnostic heavy model, from the training rows of the initial scenarios alone."""

from benchmarks.alt.methods import INITIAL
from benchmarks.alt.protocol import SEARCHED_ENCODER, Protocol
from benchmarks.alt.rows import Outcome, Row, Unit
from benchmarks.alt.units.repetition import arrival_order
from benchmarks.alt.units.workplace import Prepared, Workplace, identity
from benchmarks.comparison.rows import figures
from longtail_api.initialization_search import InitializationSearch
from longtail_api.methods.alt import InitializeConfig
from longtail_store import Chain
from longtail_trainer.data.loading import load_manifest, load_split
from longtail_trainer.methods.alt.teacher import load_version
from longtail_trainer.models.blocks.cell import one_line
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.scoring import predict


def _search(unit: Unit, protocol: Protocol) -> InitializationSearch | None:
    """Only for Table VI's third column; the other pools train the architecture that they are given."""
    if unit.encoder != SEARCHED_ENCODER:
        return None
    return InitializationSearch(ways=["Architecture"], architecture=protocol.encoder_search)


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """Rows: version 1 on the test rows of its own scenarios, none of which it was fine-tuned on; none of a variant."""
    prepared = Prepared.of(workplace, unit.seed)
    store = workplace.copied_store(prepared.unit, unit)
    pool = arrival_order(list(prepared.manifests), unit.seed)[: unit.initial]
    manifests = [prepared.manifests[scenario] for scenario in pool]
    result = workplace.carry_out(
        unit,
        InitializeConfig(
            store=workplace.address(unit),
            identity=identity({"pool": manifests, "seed": unit.training_seed(), "encoder": unit.encoder}),
            owner="agnostic",
            run=1,
            seed=unit.training_seed(),
            threads=workplace.protocol.threads,
            data_schema=load_manifest(store, manifests[0]).data_schema,
            schema_hash=f"benchmark-{unit.encoder}",
            encoder="Transformer" if unit.encoder == "Transformer" else "LSTM",
            architecture=workplace.protocol.heavy,
            training=workplace.protocol.training,
            search=_search(unit, workplace.protocol),
            pool=manifests,
        ),
    )
    outputs = {"pool": pool, "validation": result.to_json_dict()["metrics"]["validation"]}
    if unit.variant:
        return Outcome(outputs=outputs)
    version = Chain(store).version(1)
    model = load_version(store, version)
    rows: list[Row] = []
    for scenario, key in zip(pool, manifests, strict=True):
        test = load_split(store, load_manifest(store, key), "test", model.features)
        rows.append(
            Row(
                seed=unit.seed,
                scenario=scenario,
                method=INITIAL,
                encoder=unit.encoder or "",
                initial=unit.initial,
                flops=result.flops,
                seconds=result.seconds,
                architecture=one_line(version.model.cell) if version.model.cell else "",
                **figures(evaluate(predict(model, test), test, model.features)),
            )
        )
    return Outcome(rows=rows, outputs=outputs)
