"""Every decision of the operator, one module per kind. Pure: no I/O, no clock, no randomness."""
