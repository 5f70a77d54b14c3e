"""Hyper-parameter search over a pre-designed architecture (ALT III-B, Fig. 3; IV-C): samplers, space, and the search.

`docs/decisions/hyperparameter-search.md` says how a step calls it.
"""
