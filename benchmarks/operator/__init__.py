"""The control plane measured: an API server, so many Scenarios, and the operator as a process of its own."""
