"""What the launcher raises."""


class ClusterError(Exception):
    """The cluster can't be brought where it was asked to be; the message says what to do about it."""
