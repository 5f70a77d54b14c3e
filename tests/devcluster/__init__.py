"""A real single-node Kubernetes cluster on one Linux machine, without a container engine; see README.md.

`python -m tests.devcluster up` for the whole; `local_versitygw` and `api_server` for tests that need only a store,
or only the API.
"""

from tests.devcluster.apiserver import api_server
from tests.devcluster.errors import ClusterError
from tests.devcluster.versitygw import Endpoint, local_versitygw

__all__ = ["ClusterError", "Endpoint", "api_server", "local_versitygw"]
