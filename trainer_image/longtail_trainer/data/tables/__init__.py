"""What a table is: the one reader of the user's Parquet, at file:// or s3://, one file or a folder.

listing.py says which files belong to a table, partitions.py what their folders' names mean, kinds.py how Parquet's
types become the four kinds that the schema knows (text, number, label, instant), instants.py what the many timestamps
mean, parquet_file.py reads one file, agreement.py says whether all files can give what is wanted, table.py puts it
together. Bytes come from `longtail_store.open_place`: what goes wrong there is the store's error, and all else that
goes wrong while a file is read is a fault of the file.
"""

from longtail_trainer.data.tables.kinds import INSTANT, INSTANT_ROUNDED_UP, LABEL, NUMBER, TEXT, Kind
from longtail_trainer.data.tables.table import Table, Wanted, open_table

__all__ = [
    "INSTANT",
    "INSTANT_ROUNDED_UP",
    "LABEL",
    "NUMBER",
    "TEXT",
    "Kind",
    "Table",
    "Wanted",
    "open_table",
]
