"""What holds for every tier."""

import os

from hypothesis import settings

# No deadlines: these machines are noisy, and a slow example is no failure. In CI the examples are always the same
# ones, so that a red run says something about the change; elsewhere each run tries new ones.
settings.register_profile("longtail", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "longtail")
