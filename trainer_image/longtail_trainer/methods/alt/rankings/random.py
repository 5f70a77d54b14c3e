"""random: architectures drawn uniformly inside the budget, each trained for a short time."""

from longtail_api.light_model_search import TRIALS
from longtail_api.store_objects import LightArchitecture
from longtail_trainer.data.encoded import concatenate
from longtail_trainer.methods.alt.light_training import fresh
from longtail_trainer.methods.alt.rankings.task import (
    Ranking,
    SearchTask,
    goodness,
    objective_name,
    predicted_milliseconds,
)
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.search.budget import Budget
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.driver import Limits, search
from longtail_trainer.search.evaluators.training import ShortTraining
from longtail_trainer.search.journal import ResumeJournal, TrialAttempts
from longtail_trainer.search.samplers.uniform import UniformSampler
from longtail_trainer.search.trial import TrialRecord
from longtail_trainer.training.device import device_of
from longtail_trainer.training.settings import TrainingSettings, minibatch

EPOCHS = 15
LEARNING_RATE = 0.005
STARTS, ENDS = 0.05, 0.9


def random_ranking(task: SearchTask) -> Ranking:
    """Trials by their figure on validation rows. What finished before a kill is not run again."""
    config, context, space = task.config, task.context, task.space
    figure = objective_name(config.objective, task.features.data_schema)
    goal = None if config.objective.goal is None else float(config.objective.goal)
    count = min(config.max_trials or TRIALS, UniformSampler.inside(space, task.budget).count())
    rows = concatenate([task.support, task.query])

    def build(architecture: LightArchitecture, seed: int) -> LightModel:
        return fresh(task.features, architecture, config.features, seed).to(device_of(context))

    def told(trial: TrialRecord) -> None:
        picks = space.picks(space.point_of(trial.parameters))
        value = trial.figures[figure].value if figure in trial.figures else None
        context.progress.metric(
            trial=trial.number + 1,
            flops=space.flops(picks),
            **predicted_milliseconds(space, picks),
            **{f"validation.{figure}": value},
            **({} if trial.reason is None else {"reason": trial.reason}),
        )
        context.progress.update(
            STARTS + (ENDS - STARTS) * (trial.number + 1) / count, f"trial {trial.number + 1} of {count}"
        )

    evaluate = ShortTraining(
        build,
        rows,
        task.taught_validation,
        task.validation,
        task.features,
        task.losses,
        TrainingSettings(
            epochs=EPOCHS,
            batch_size=minibatch(len(rows), config.batch_size),
            learning_rate=LEARNING_RATE,
            seed=config.seed,
            patience=config.early_stopping.patience,
        ),
        lambda figures: goodness(figures, figure),
    )
    result = search(
        evaluate,
        space,
        "uniform",
        Limits(count, config.trial_deadline_seconds, goal=goal if goal is None or figure.endswith("auc") else -goal),
        budget=task.budget,
        seed=config.seed,
        journal=ResumeJournal(context.resume),
        attempts=TrialAttempts(context.resume),
        stop=context.stop,
        on_trial=told,
    )
    ranked = sorted(result.completed, key=lambda one: (-goodness(one.figures, figure), space.picks(one.point)))

    def best(budget: Budget) -> Candidate:
        inside = (one for one in ranked if space.inside(space.picks(one.point), budget))
        return next(inside, min(ranked, key=lambda one: space.nanoseconds(space.picks(one.point))))

    return best
