"""The training engine: one loop (`fit`) for every program, its settings and state, losses, and how scores are judged.

A program says what an epoch's steps are and how they are judged: `supervised` is one, searches and methods have
others. Random choices follow from a seed and the epoch's number (`seeds`); all that changes is in a program's parts
(`checkpoint`), so whatever is killed goes on to the same weights.
"""
