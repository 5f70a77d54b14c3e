"""Asynchronous meta-update: folding the feedback of scenario runs into the agnostic model.

`rules` decides (what is due, what is rejected, how much each counts), `fold` carries it out as a new version of the
chain, `ledger` lists what is pending, `garbage` removes what nothing needs any more. The operator runs
`python -m longtail_operator.meta_update` as a process of its own, so that its memory does not follow the model's.
"""
