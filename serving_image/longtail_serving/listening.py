"""The port: for IPv6 and IPv4 alike, whichever of them the machine has."""

import contextlib
import resource
import socket

from longtail_serving.errors import PortUnusable

_WAITING_CONNECTIONS = 2048
_OTHER_FILES = 64
"""Of the process, beside its connections."""


def listening_socket(port: int) -> socket.socket:
    """A listening socket on all addresses: `::` that takes IPv4 as well, or `0.0.0.0` where there is no IPv6.

    Raises `PortUnusable` where neither can be had, naming the port and why.
    """
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # the kernel knows IPv6, but no address may be bound
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_WAITING_CONNECTIONS
            )
    try:
        return socket.create_server(("0.0.0.0", port), backlog=_WAITING_CONNECTIONS)
    except OSError as error:
        raise PortUnusable(f"--port {port}: the port can't be opened ({error}); choose another") from error


def allow_files_for(connections: int) -> None:
    """Let this process open a file for each connection, as far as its hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard)
        )
