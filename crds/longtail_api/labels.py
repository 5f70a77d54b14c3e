"""Labels, annotations, the finalizer and the field manager: names on Kubernetes objects."""

SCENARIO_LABEL = "longtail.dev/scenario"
HEAVY_MODEL_LABEL = "longtail.dev/heavy-model"
SEARCH_LABEL = "longtail.dev/search"
ROLE_LABEL = "longtail.dev/role"
"""What a child is for: a step's name, `serving`, `check`, `config`."""
RUN_LABEL = "longtail.dev/run"
VERSION_LABEL = "longtail.dev/version"

RUN_ANNOTATION = "longtail.dev/run"
"""Set by a person to a new value: start a new run."""
IDENTITY_ANNOTATION = "longtail.dev/identity"

FINALIZER = "longtail.dev/store-cleanup"
FIELD_MANAGER = "longtail"
