"""What holds for every tier."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Before torch is imported: tests run side by side, and threads of theirs beside them would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines: these machines are noisy, and a slow example is no failure. In CI the examples are always the same
# ones, so that a red run says something about the change; elsewhere each run tries new ones.
settings.register_profile("longtail", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "longtail")


@pytest.fixture(scope="module")
def traced_once() -> Iterator[None]:
    """For modules that export the same trained model again and again, which takes seconds each time."""
    from tests.trainer.traced_graphs import traced_graphs  # torch, which most tiers do without

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longtail_trainer.export.graph.core_graph", traced_graphs.core_graph)
        yield


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore pauses between its attempts, up to 20 s each."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0.0)
