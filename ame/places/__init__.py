"""Files of rows, on a disk or in a bucket: listed on one machine, and read on another."""

from ame.places.place import Place, format_of, in_threads, is_data, place_of

__all__ = ["Place", "format_of", "in_threads", "is_data", "place_of"]
