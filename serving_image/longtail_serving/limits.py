"""What a server takes of its clients at most: time, size and memory. Each has a flag of `longtail-serving serve`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Beyond any of these a client is told so (413, 408, 503), or its connection is closed; the others are served."""

    body_bytes: int = 16 << 20
    """Of one request."""
    rows: int = 16_384
    """Of one request's batch."""
    values: int = 1_000_000
    """Of one request's JSON, names, shapes and data together. What a value costs in memory is far more than its bytes:
    `[],` takes 3 of these and 64 of those."""
    requests: int = 256
    """Whole requests under way. More would only wait in line beyond any SLO."""
    connections: int = 1000
    """Beyond it the one that has waited longest for its client is closed for each that comes."""
    request_seconds: float = 10.0
    """From the first byte of a request's head to its last, and again for its body."""
    answer_seconds: float = 10.0
    """For a client to read an answer that does not fit into the buffers on its way."""
    idle_seconds: float = 65.0
    """Between two requests; longer than the idle timeout of most clients and proxies, so that they close first."""

    @property
    def held_bytes(self) -> int:
        """Of all large bodies that are read or worked on, together."""
        return 4 * self.body_bytes

    @property
    def unread_bytes(self) -> int:
        """Of all answers that clients have not read, together."""
        return 4 * self.body_bytes
