"""ALT: a scenario-agnostic heavy model, adapted per scenario, and a light model searched and distilled from it."""

from longtail_api.methods.alt import ALT as API
from longtail_trainer.running.steps import Method

ALT = Method(
    API,
    {
        "initialize": "longtail_trainer.methods.alt.initialize",
        "adapt": "longtail_trainer.methods.alt.adapt",
        "search": "longtail_trainer.methods.alt.search",
        "train-light": "longtail_trainer.methods.alt.train_light",
        "meta-train": "longtail_trainer.methods.alt.meta_train",
    },
)
