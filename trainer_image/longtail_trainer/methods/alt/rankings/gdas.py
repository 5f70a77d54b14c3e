"""gdas: learn the distribution, then take the most probable architectures inside the budget."""

from longtail_trainer.methods.alt.rankings.super_model import light_super_model
from longtail_trainer.methods.alt.rankings.task import (
    Ranking,
    SearchTask,
    goodness,
    objective_name,
    predicted_milliseconds,
    reached,
)
from longtail_trainer.search.budget import Budget
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.evaluators.gdas import GdasSettings, search
from longtail_trainer.training.device import device_of
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.settings import minibatch

SEARCH_STARTS, SEARCH_ENDS = 0.05, 0.9


def gdas_ranking(task: SearchTask) -> Ranking:
    """Architectures by their joint probability (ALT Eq. 9). Figures on validation rows are with the shared weights."""
    config, context = task.config, task.context
    parameters = config.algorithm.gdas
    super_model = light_super_model(task.features, config.search_space, config.features, config.seed, task.space)
    super_model.to_device(device_of(context))
    figure = objective_name(config.objective, task.features.data_schema)
    goal = None if config.objective.goal is None else float(config.objective.goal)

    def best(budget: Budget) -> Candidate:
        limits = task.space.limits(task.space.attainable(budget))
        picks, log_probability = next(most_probable(super_model.distribution.log_probabilities(), *limits))
        logits = predict(super_model.use(picks), task.validation)
        figures = evaluate(logits, task.validation, task.features)
        return Candidate(task.space.point(picks), figures, log_probability)

    def after_epoch(epoch: int, figures: dict[str, float | str]) -> bool:
        found = best(task.budget)
        picks = task.space.picks(found.point)
        value = goodness(found.figures, figure)
        context.progress.metric(
            epoch=epoch,
            **figures,
            derivedFlops=task.space.flops(picks),
            **predicted_milliseconds(task.space, picks),
            **{f"validation.{figure}": found.figures[figure].value},
        )
        done = SEARCH_STARTS + (SEARCH_ENDS - SEARCH_STARTS) * epoch / parameters.epochs
        context.progress.update(done, f"epoch {epoch} of {parameters.epochs}, {figure} {abs(value):.4f}")
        return reached(found.figures, figure, goal)

    settings = GdasSettings(parameters, minibatch(len(task.support), config.batch_size), config.seed, task.budget)
    search(
        super_model, task.support, task.query, task.losses, settings, context.resume, context.stop, after_epoch
    )  # fmt: skip
    return best
