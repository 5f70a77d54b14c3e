"""gdas: learn the distribution, then take the most probable architectures inside the budget."""

from longtail_trainer.evaluation import evaluate
from longtail_trainer.light.minibatch import minibatch
from longtail_trainer.light.scores import scores
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.gdas import GdasSettings, light_super_model, search
from longtail_trainer.search.task import Candidate, Ranking, SearchTask, goodness, objective_name, reached
from longtail_trainer.training.device import training_device

SEARCH_STARTS, SEARCH_ENDS = 0.05, 0.9


def gdas_ranking(task: SearchTask) -> Ranking:
    """Architectures by their joint probability (ALT Eq. 9). Figures on validation rows are with the shared weights."""
    config, context = task.config, task.context
    parameters = config.algorithm.gdas
    super_model = light_super_model(task.features, config.search_space, config.features, config.seed)
    super_model.to(training_device(context.threads))
    figure = objective_name(config.objective, task.features.data_schema)
    goal = None if config.objective.goal is None else float(config.objective.goal)
    costs = [choice.costs for choice in task.space.choices]

    def best(flops: float) -> Candidate | None:
        log_probabilities = super_model.distribution.log_probabilities()
        ordered = most_probable(costs, log_probabilities, flops - task.space.fixed_flops)
        picks, log_probability = next(ordered, (None, None))
        if picks is None:
            return None
        logits = scores(super_model.use(picks), task.validation)
        return Candidate(picks, log_probability, evaluate(logits, task.validation, task.features))

    def after_epoch(epoch: int, figures: dict[str, float | str]) -> bool:
        found = best(task.budget)
        assert found is not None, "the budget was checked before"
        value = goodness(found.validation, figure)
        context.progress.metric(
            epoch=epoch,
            **figures,
            derivedFlops=task.space.flops(found.picks),
            **{f"validation.{figure}": found.validation[figure].value},
        )
        done = SEARCH_STARTS + (SEARCH_ENDS - SEARCH_STARTS) * epoch / parameters.epochs
        context.progress.update(done, f"epoch {epoch} of {parameters.epochs}, {figure} {abs(value):.4f}")
        return reached(found.validation, figure, goal)

    settings = GdasSettings(parameters, minibatch(len(task.support), config.batch_size), config.seed)
    search(
        super_model, task.support, task.query, task.losses, settings, context.resume, context.stop, after_epoch
    )  # fmt: skip
    return best
