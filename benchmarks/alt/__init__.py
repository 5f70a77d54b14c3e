"""ALT's comparison (ALT, Sec. V) on any data set in the three-table form: `python -m benchmarks.alt --help`.

`protocol` says what a run is made with, `repetition` what a seed draws, `arrivals` who starts when; `units` are the
pieces of work (prepare, pool, chain, single, boosting, light, latency), `runner` carries them out once each, by way of
`cache`; `rows`, `statistics`, `claims`, `tables`, `plots` and `report` make of their rows what is shown.
"""
