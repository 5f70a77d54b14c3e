"""random: architectures drawn uniformly inside the budget, each trained for a short time."""

import json
import random
from itertools import islice

from longtail_api.store_objects import Metric
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.methods.alt.rankings.task import (
    Candidate,
    Ranking,
    SearchTask,
    goodness,
    objective_name,
    predicted_milliseconds,
    reached,
)
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.search.budget import Budget
from longtail_trainer.search.samplers.uniform import UniformSampler, distinct_draws
from longtail_trainer.search.spaces.cell import Picks
from longtail_trainer.training.device import training_device
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.seeds import seeded
from longtail_trainer.training.settings import TrainingSettings, minibatch
from longtail_trainer.training.supervised import train

RESUME_POINT = "trials"
TRIALS = 8
"""Where the search's budget names none."""
EPOCHS = 15
LEARNING_RATE = 0.005


def random_ranking(task: SearchTask) -> Ranking:
    """Trials by their figure on validation rows. What finished before a kill is not run again."""
    config, context = task.config, task.context
    space, schema = task.space, task.features.data_schema
    figure = objective_name(config.objective, schema)
    goal = None if config.objective.goal is None else float(config.objective.goal)
    sampler = UniformSampler(space, int(min(task.budget.flops, space.largest_flops())))
    draws = distinct_draws(sampler, task.budget, random.Random(config.seed))
    count = min(config.max_trials or TRIALS, sampler.count())
    finished = _read(context.resume.load(RESUME_POINT))
    rows = concatenate([task.support, task.query])
    trials: list[Candidate] = []
    for number, picks in enumerate(islice(draws, count)):
        trials.append(finished[number] if number < len(finished) else _trial(task, rows, picks, number))
        if number >= len(finished):
            context.resume.save(RESUME_POINT, _written(trials))
            value = trials[-1].validation[figure].value
            context.progress.metric(
                trial=number + 1,
                flops=space.flops(picks),
                **predicted_milliseconds(space, picks),
                **{f"validation.{figure}": value},
            )
        context.progress.update(0.05 + 0.85 * len(trials) / count, f"trial {len(trials)} of {count}")
        context.stop.raise_if_requested()
        if reached(trials[-1].validation, figure, goal):
            break
    ranked = sorted(trials, key=lambda one: (-goodness(one.validation, figure), one.picks))

    def best(budget: Budget) -> Candidate:
        inside = (one for one in ranked if space.inside(one.picks, budget))
        return next(inside, min(ranked, key=lambda one: space.nanoseconds(one.picks)))

    return best


def _trial(task: SearchTask, rows: EncodedSplit, picks: Picks, number: int) -> Candidate:
    """Train on these rows for a short time."""
    config = task.config
    with seeded(config.seed + number):
        model = LightModel(task.features, task.space.architecture(picks), config.features)
    model.to(training_device(task.context.threads))
    settings = TrainingSettings(
        epochs=EPOCHS,
        batch_size=minibatch(len(rows), config.batch_size),
        learning_rate=LEARNING_RATE,
        seed=config.seed + number,
        patience=config.early_stopping.patience,
    )
    train(model, rows, task.taught_validation, task.losses, settings, None, task.context.stop)
    return Candidate(picks, None, evaluate(predict(model, task.validation), task.validation, task.features))


def _written(trials: list[Candidate]) -> bytes:
    rows = [
        {"picks": one.picks, "validation": {name: metric.to_json_dict() for name, metric in one.validation.items()}}
        for one in trials
    ]
    return json.dumps(rows).encode()


def _read(content: bytes | None) -> list[Candidate]:
    return [
        Candidate(
            tuple(row["picks"]),
            None,
            {name: Metric.model_validate(metric) for name, metric in row["validation"].items()},
        )
        for row in json.loads(content or b"[]")
    ]
