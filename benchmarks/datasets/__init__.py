"""Data sets in the three-table form: converters of public data, and a generator whose best reachable AUC is known.

`python -m benchmarks.datasets --help` lists them. A data set is one module and one line in `__main__.py`.
"""

from benchmarks.datasets.tables import InvalidInput, Tables

__all__ = ["InvalidInput", "Tables"]
