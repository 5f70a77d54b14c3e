"""How fast our training loop is, beside a bare one and those of other libraries: `python -m benchmarks.training_speed`.

`module` is what all of them train, `rows` what they train on; `loops` has one class for each, and `worker` runs one of
them in a process of its own, an epoch whenever it is told to.
"""
