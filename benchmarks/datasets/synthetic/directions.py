"""What drives the labels: the directions of a row, and how the tasks weigh them."""

DIRECTIONS = ("slow", "fast", "age", "tenure", "tier", "region", "price", "slot", "slow*tenure", "fast*tier")
# The first task's weights before normalization: history leads.
FIRST_TASK = (1.0, 1.0, 0.4, 0.5, 0.5, 0.3, 0.4, 0.3, 0.5, 0.4)
# Cosine of task t with the first one.
RELATIONS = (1.0, 0.8, -0.6, 0.0, 0.5, -0.3, 0.7, -0.8)
SIGNAL = 1.9
SLOW, FAST = 0.9, 0.6
