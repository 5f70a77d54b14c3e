"""What the launcher raises."""


class Failure(Exception):
    """The cluster can't be brought where it was asked to be; the message says what to do about it."""
