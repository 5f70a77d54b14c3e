"""How many samples one gradient step of a light model sees."""

STEPS_AN_EPOCH = 20
"""Long-tail scenarios are small: fewer steps than this leave a search or a training from fresh weights unfinished."""
SMALLEST = 16


def minibatch(rows: int, largest: int) -> int:
    """At most `largest` samples; fewer where an epoch would have too few steps, down to 16."""
    return min(largest, max(SMALLEST, rows // STEPS_AN_EPOCH))
