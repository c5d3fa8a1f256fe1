"""Files of rows, on a disk or in a bucket: listed on one machine, and read on another."""

from ame.places.parquet import AS_IT_COMES, read_row_groups, with_spelled
from ame.places.place import Place, format_of, in_threads, is_data, place_of

__all__ = [
    "AS_IT_COMES",
    "Place",
    "format_of",
    "in_threads",
    "is_data",
    "place_of",
    "read_row_groups",
    "with_spelled",
]
