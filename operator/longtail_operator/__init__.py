"""The control plane: what exists is observed, what should exist is decided by pure functions, and applied.

`snapshot` holds what the API server's events left behind, `plans` decides, `apply` carries out, `reconcile` is the
one path from a key on the `work_queue` through all three. `__main__` starts it.
"""
