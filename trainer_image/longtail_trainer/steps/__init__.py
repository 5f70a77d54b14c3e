"""The steps: one module each, with `run(config, context) -> StepResult`. A new step is one file and one line here.

Modules are named, not imported, so that `prepare` doesn't load torch and no other step loads polars' tables code.
"""

STEPS: dict[str, str] = {
    "prepare": "longtail_trainer.steps.prepare",
    "initialize": "longtail_trainer.steps.initialize",
    "adapt": "longtail_trainer.steps.adapt",
    "search": "longtail_trainer.steps.search",
    "train-light": "longtail_trainer.steps.train_light",
    "meta-train": "longtail_trainer.steps.meta_train",
}
