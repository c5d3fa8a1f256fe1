"""What one process sends to another: objects as bytes, their arrays compressed.

Histograms are mostly small counts and sums are mostly zeros, so that an array is stored in the narrowest type
that holds its whole numbers, and compressed. Unpacking gives every number back as it was. Bytes are to be
unpacked only where they come from a process of the same Spark application.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["pack", "unpack"]

_SMALL = 512  # bytes of an array that are not worth a compression
_CODEC = "zstd"


def pack(thing: object) -> bytes:
    """The object as bytes."""
    into = io.BytesIO()
    _Pickler(into, protocol=pickle.HIGHEST_PROTOCOL).dump(thing)
    return into.getvalue()


def unpack(content: bytes) -> Any:
    """The object that `pack` was given; its arrays can be written to."""
    return pickle.loads(content)  # noqa: S301


class _Pickler(pickle.Pickler):
    def reducer_override(self, thing: object) -> Any:
        if type(thing) is not np.ndarray or thing.dtype.kind not in "biuf" or thing.nbytes < _SMALL:
            return NotImplemented
        narrow = np.ascontiguousarray(_narrowed(thing))
        squeezed = pa.compress(narrow.reshape(-1).view(np.uint8), codec=_CODEC, asbytes=True)
        return _array, (squeezed, narrow.dtype.str, thing.dtype.str, thing.shape)


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "iu" or array.itemsize == 1:
        return array
    least, greatest = int(array.min()), int(array.max())
    for kind in (np.uint8, np.uint16, np.uint32) if least >= 0 else (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= least and greatest <= np.iinfo(kind).max:
            return array.astype(kind)
    return array


def _array(squeezed: bytes, narrow: str, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(narrow).itemsize
    content = pa.decompress(squeezed, decompressed_size=size, codec=_CODEC)
    return np.frombuffer(content, dtype=narrow).astype(kind).reshape(shape)
