"""Training by two processes: as exact as by one, and as hard to kill.

python -m benchmarks.two_ranks [--kills 20] [--steps 100] [--seed 0] [--json benchmarks/results/two_ranks.json]
"""
