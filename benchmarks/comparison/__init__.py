"""What every comparison of methods shares; a benchmark gives its pieces of work, its methods and its claims.

`rows` are figures and pieces of work, `cache` keeps what is done, `runner` carries out a `benchmark.Benchmark`;
`dataset` and `folds` say what is tested on; `statistics`, `claims`, `tables`, `plots`, `report` and `results` make of
rows what is shown. Nothing here knows a method.
"""
