"""search: a light architecture inside the budget (ALT III-D).

Writes `runs/<owner>/<run>/search/architecture.json`, a `SearchResult`. Outputs of the result:
- `architectureKey`: that object; `architecture`: the architecture in one line
- `flops`: of the whole light model; `smallestFlops`: of the cheapest of the space; `maxFlops`: the budget, if any
- `logProbability`: joint log-probability of the choice (Eq. 9); null for algorithms without one

Metrics: `validation` of the architecture as the search saw it (shared weights for gdas, a short training for random).
`metrics.jsonl` has one line per epoch (or trial); for gdas `probabilities` is the JSON of every distribution. With a
latency limit it also has `predictedMilliseconds` (p99) of what was derived or tried, and for gdas
`expectedLatencyShare`.
Pictures: `cell`; for gdas `probabilities` and `learning-curves`.
"""

import logging
from itertools import chain

from longtail_api.methods.alt import SearchConfig
from longtail_api.store_layout import architecture_key
from longtail_api.store_objects import TRAINING_SPLITS, AltLight, Features, Manifest, SearchResult, Split, StepResult
from longtail_store import read_object, write_object_if_absent
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.loading import encoded_parts, load_manifest
from longtail_trainer.data.rows import halves
from longtail_trainer.data.seen_categories import SeenCategories
from longtail_trainer.methods.alt.distillation import DistillationLosses, hard_labels, with_teacher
from longtail_trainer.methods.alt.light_training import fresh
from longtail_trainer.methods.alt.rankings import ALGORITHMS, SearchTask
from longtail_trainer.methods.alt.rankings.history import distributions
from longtail_trainer.methods.alt.rankings.latency_gate import fast_enough
from longtail_trainer.methods.alt.teacher import load_heavy
from longtail_trainer.methods.alt.transfer import nothing_to_label, transfer_rows
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.registry import served_family
from longtail_trainer.pictures import CellParts, Curve, cell, learning_curves, probabilities, publish, published
from longtail_trainer.running.errors import BudgetUnreachable
from longtail_trainer.running.step import StepContext
from longtail_trainer.search.budget import FLOPS
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.latency_cache import parts_of, predicted_costs, table_of_search
from longtail_trainer.search.spaces.alt_cell import CellSpace, space_of
from longtail_trainer.training.device import device_of
from longtail_trainer.training.scoring import predict

log = logging.getLogger(__name__)


def run(config: SearchConfig, context: StepContext) -> StepResult:
    """Search, choose, and leave the architecture in the store.

    Raises `BudgetUnreachable` before anything is trained where the cheapest architecture exceeds the budget, and at
    the end where none is fast enough; `DataInvalid` where there is no row at all that the teacher could label.
    """
    context.progress.update(0.0, "loading the heavy model")
    teacher = load_heavy(context.store, config.heavy_result)
    check_budget(space_of(teacher.features, config.search_space, config.features), config.max_flops)
    task = _task(teacher, config, context)
    ranking = ALGORITHMS[config.algorithm.name](task)
    if config.max_latency_milliseconds is None:
        found = ranking(task.budget)
    else:
        found = fast_enough(ranking, task, config.max_latency_milliseconds)
    result = _stored(task, found)
    _draw(task, result)
    return _finished(result, config, context)


def check_budget(space: CellSpace, max_flops: int | None) -> None:
    """Raises `BudgetUnreachable` where not even the cheapest architecture fits."""
    smallest = space.smallest_flops()
    if max_flops is not None and smallest > max_flops:
        raise BudgetUnreachable(
            f"budget.maxFlops: {max_flops} is below the cheapest architecture of the search space, which needs "
            f"{smallest} FLOPs (of them {space.fixed_flops} outside of its layers): raise the budget to at least that, "
            "or reduce searchSpace.width, searchSpace.layers or the features"
        )


def _space(features: Features, config: SearchConfig, context: StepContext) -> CellSpace:
    """With a latency limit, with each option's latency, so that search and derivation look for what is fast enough."""
    space = space_of(features, config.search_space, config.features)
    if config.max_latency_milliseconds is None:
        return space
    context.progress.update(0.01, "measuring the latency of the operations")
    table = table_of_search(parts_of(features, config.search_space, config.features), context.resume)
    log.info("latency table of this machine: %s", table.model_dump_json(by_alias=True))
    return space.predicted(predicted_costs(table))


def _task(teacher: RankingModel, config: SearchConfig, context: StepContext) -> SearchTask:
    """What is searched with knows the categories that its rows have, as the light model will know those of its own: so
    cost and quality are those of models like it."""
    context.progress.update(0.005, "loading data, and asking the teacher")
    teacher.to(device_of(context))
    manifest = load_manifest(context.store, config.manifest)
    features = teacher.features
    for_weights, for_architecture = _own_splits(manifest)
    others = halves(
        transfer_rows(
            context.store,
            config.base_version,
            features,
            manifest.scenario,
            config.teacher.transfer_rows,
            config.seed,
            config.transfer_from,
        )
    )

    def load(splits: list[Split], *more: EncodedSplit) -> EncodedSplit:
        return concatenate(chain(encoded_parts(context.store, [manifest], splits, features), more))

    support, query = _both(load(for_weights, others[0]), load(for_architecture, others[1]), config.manifest)
    validation = load(["validation"])
    seen = SeenCategories.of(features, support, query)
    # The teacher knows all categories, and is asked before any is forgotten.
    hard = hard_labels(features.data_schema, config.teacher, support, query)
    taught = [
        seen.encoded(with_teacher(split, predict(teacher, split), hard)) for split in (support, query, validation)
    ]
    losses = DistillationLosses.taught(
        features.data_schema, float(config.teacher.temperature), float(config.teacher.weight)
    )
    return SearchTask(
        config,
        context,
        seen.features,
        _space(seen.features, config, context),
        support=taught[0],
        query=taught[1],
        validation=seen.encoded(validation),
        taught_validation=taught[2],
        losses=losses,
    )


def _own_splits(manifest: Manifest) -> tuple[list[Split], list[Split]]:
    """Of the scenario's own rows: those for weights, and those for the architecture; where one of the two is empty,
    the other serves both."""
    filled: list[Split] = [split for split in TRAINING_SPLITS if manifest.rows.get(split)]
    return filled[:1], filled[-1:]


def _both(support: EncodedSplit, query: EncodedSplit, key: str) -> tuple[EncodedSplit, EncodedSplit]:
    """Rows for weights and rows for the architecture, with those of others; neither is empty."""
    if not len(support) and not len(query):
        raise nothing_to_label(key)
    if len(support) and len(query):
        return support, query
    log.warning("%s: one set of rows serves both weights and architecture", key)
    return (support, support) if len(support) else (query, query)


def _stored(task: SearchTask, found: Candidate) -> SearchResult:
    """The result as the store has it: that of an earlier attempt stands, so that nobody sees two."""
    key = architecture_key(task.config.owner, task.config.run)
    result = SearchResult(
        found=AltLight.of(task.space.decode(found.point)),
        flops=task.space.cost(found.point, FLOPS),
        smallest_flops=task.space.smallest_flops(),
        max_flops=task.config.max_flops,
        log_probability=found.log_probability,
        validation=dict(found.figures),
    )
    if not write_object_if_absent(task.context.store, key, result):
        return read_object(task.context.store, key, SearchResult)
    return result


def _draw(task: SearchTask, result: SearchResult) -> None:
    config, store, prefix = task.config, task.context.store, task.context.prefix

    records = task.context.progress.records()

    def cell_picture() -> str:
        model = fresh(task.features, result.found, config.features, config.seed)
        figures = served_family(result.found.family).layer_figures(model)
        return cell(CellParts(result.found, figures.flops, figures.fixed, config.max_flops))

    def moved() -> str:
        return probabilities(*distributions(task.space.panels(task.space.encode(result.found)), records))

    def curves() -> str:
        weights = Curve.recorded("weights, on support rows", records, "supportLoss")
        architecture = Curve.recorded("architecture, on query rows", records, "queryLoss")
        return learning_curves("Learning curves of the search", [weights, architecture])

    publish(store, prefix, "cell", cell_picture)
    if any("probabilities" in record for record in records):
        publish(store, prefix, "probabilities", moved)
        publish(store, prefix, "learning-curves", curves)


def _finished(result: SearchResult, config: SearchConfig, context: StepContext) -> StepResult:
    return context.result(
        outputs={
            "architectureKey": architecture_key(config.owner, config.run),
            "architecture": served_family(result.found.family).words(result.found),
            "flops": result.flops,
            "smallestFlops": result.smallest_flops,
            "maxFlops": result.max_flops,
            "logProbability": result.log_probability,
        },
        metrics={"validation": result.validation},
        flops=result.flops,
        pictures=published(context.store, context.prefix),
    )
