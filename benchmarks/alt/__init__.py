"""ALT's comparison (ALT, Sec. V) on any data set in the three-table form: `python -m benchmarks.alt --help`.

`protocol` says what a run is made with, `repetition` what a seed draws, `arrivals` who starts when; `units` are the
pieces of work (prepare, pool, chain, single, boosting, light, latency), `runner` carries them out once each, by way of
`cache`; `rows`, `statistics`, `claims`, `tables`, `plots` and `report` make of their rows what is shown.
`experiments` measure more on what a comparison left, to say why a figure is as it is.
"""

import os

# One process, one thread, unless --threads says more; read when numpy, torch and polars are imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_variable, "1")
