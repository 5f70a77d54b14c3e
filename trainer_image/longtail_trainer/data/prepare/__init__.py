"""The step `prepare`: the three tables in, one data version out, in memory that doesn't grow with the tables.

columns.py says as what the columns are read (by data/tables/), selection.py copies one scenario's rows to local files,
identity.py and splits.py decide where each row goes, joining.py joins in time, parts.py writes shuffled parts,
statistics.py sums up the training rows, requests.py records validation rows, publication.py puts it all into the store,
the manifest last.
"""
