"""HDF5 files that may come from strangers: only what lies in the file itself is read, and no more than it can hold.

HDF5 lets a file refer to others (external storage, virtual datasets, soft and external links), which would copy any
file of this machine into a dataset; and a small file can declare arrays larger than any memory.
"""

import math
import mmap
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from genie_gym.data.episode import MAX_BYTES
from genie_gym.errors import DataError, printable
from genie_gym.utils.paths import file_size

__all__ = [
    "MAX_RATIO",
    "attribute",
    "check_heaps",
    "has_member",
    "is_variable",
    "open_array",
    "open_file",
    "open_group",
    "text_attribute",
]

MAX_CHUNK_BYTES = 2**28
MAX_RATIO = 1032  # gzip cannot shrink anything further
HEAP = b"GCOL\1"  # how a heap begins
KEPT_IN_ONE_PIECE = (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS)


def open_file(path: Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is a folder, a pipe or a device.
        OSError: It is no HDF5 file, or damaged.
    """
    file_size(path)
    # No chunk cache: windows are read at random, and a cache per open episode would fill the memory.
    return h5py.File(path, "r", rdcc_nbytes=0, locking=False)


def has_member(group: h5py.Group, name: str) -> bool:
    """Return whether a group has a member of that name, without following it if it is a link."""
    return group.id.links.exists(name.encode())


def open_group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group in another group.

    Raises:
        DataError: It is missing, a link to somewhere else, or no group.
    """
    found = _member(parent, name)
    if not isinstance(found, h5py.h5g.GroupID):
        raise DataError("it is no group")
    return h5py.Group(found)


def open_array(group: h5py.Group, name: str, dtype: type, shape: tuple[int | None, ...]) -> h5py.Dataset:
    """Return an array whose values lie in this file.

    Args:
        group: The group that holds it.
        name: Its name.
        dtype: The type that it must have.
        shape: The sides that it must have; None stands for any length of 1 or more. Arrays of four sides are in chunks
            along the first and compressed with gzip, all others are in one piece.

    Raises:
        DataError: It is missing, is stored in another file, has another type or shape, or declares more values than the
            file can hold.
    """
    found = _member(group, name)
    if not isinstance(found, h5py.h5d.DatasetID):
        raise DataError(f"{name} is no array")
    how = found.get_create_plist()
    if how.get_layout() == h5py.h5d.VIRTUAL or how.get_external_count():
        raise DataError(f"{name} is stored in another file, which is not read; copy the values into this one")
    _check_type(name, found, np.dtype(dtype), shape)
    (_check_chunks if len(shape) == 4 else _check_piece)(name, found, how)
    return h5py.Dataset(found)


def attribute(group: h5py.Group, name: str, kind: type | tuple[type, ...]) -> Any:
    """Return an attribute of a group that is a single number or bytes.

    Raises:
        DataError: It is missing or of another kind.
    """
    opened = _open_attribute(group, name)
    if opened.dtype == object:  # of variable length, for which HDF5 follows addresses that it does not check
        raise DataError(f"attribute {name} is no single value of fixed length")
    value = group.attrs[name]
    if not isinstance(value, kind):
        raise DataError(f"attribute {name} has the wrong value {printable(value):.60}")
    return value


def text_attribute(group: h5py.Group, name: str, variable: bool = False) -> str:
    """Return an attribute of a group that is a text.

    Args:
        group: The group.
        name: The name of the attribute.
        variable: Whether texts of variable length are read too, as earlier versions wrote them: only from files that
            `check_heaps` has found to be in order.

    Raises:
        DataError: It is missing or no text.
    """
    if variable and is_variable(group, name):
        value = group.attrs[name]
        return value if isinstance(value, str) else ""
    try:
        return attribute(group, name, np.bytes_).decode()
    except UnicodeDecodeError:
        raise DataError(f"attribute {name} is no text") from None


def is_variable(group: h5py.Group, name: str) -> bool:
    """Return whether an attribute is a text of variable length."""
    text = h5py.check_string_dtype(_open_attribute(group, name).dtype)
    return text is not None and text.length is None


def check_heaps(path: Path) -> None:
    """Check the heaps in which HDF5 keeps texts of variable length: in a damaged one it may search for ever.

    Raises:
        DataError: A heap is damaged.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(HEAP)
        while place >= 0:
            end = place + int.from_bytes(content[place + 8 : place + 16], "little")
            at = place + 16
            while at + 16 <= min(end, len(content)):
                index, size = int.from_bytes(content[at : at + 2], "little"), content[at + 8 : at + 16]
                taken = int.from_bytes(size, "little")
                at += taken if index == 0 else 16 + -(-taken // 8) * 8  # 0 is what is free
                if index == 0 and taken < 16:
                    raise DataError("a heap of texts in the file is damaged")
            if end > len(content) or at > end:
                raise DataError("a heap of texts in the file is damaged")
            place = content.find(HEAP, place + 1)


def _open_attribute(group: h5py.Group, name: str) -> h5py.h5a.AttrID:
    if not h5py.h5a.exists(group.id, name.encode()):
        raise DataError(f"attribute {name} is missing")
    opened = h5py.h5a.open(group.id, name.encode())
    if opened.get_space().get_simple_extent_type() != h5py.h5s.SCALAR:  # it might be a billion values
        raise DataError(f"attribute {name} is no single value")
    return opened


def _member(group: h5py.Group, name: str) -> Any:
    """Return the low-level object of that name."""
    if not has_member(group, name):
        raise DataError(f"{name} is missing")
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise DataError(f"{name} is a link to another place, which is not followed; copy the values into this file")
    return h5py.h5o.open(group.id, name.encode())


def _check_type(name: str, array: h5py.h5d.DatasetID, dtype: np.dtype, shape: tuple[int | None, ...]) -> None:
    if array.dtype != dtype:
        advice = "; frames from 0 to 1 become bytes with (255 * frames).round().astype('uint8')"
        is_float = dtype == np.uint8 and array.dtype.kind == "f"
        raise DataError(f"{name} is {array.dtype}, expected {dtype}{advice if is_float else ''}")
    found = array.shape or ()
    if len(found) != len(shape) or any(
        side != wanted if wanted is not None else side < 1 for side, wanted in zip(found, shape, strict=True)
    ):
        expected = ", ".join("any" if side is None else str(side) for side in shape)
        raise DataError(f"{name} has shape {found}, expected ({expected})")


def _check_piece(name: str, array: h5py.h5d.DatasetID, how: h5py.h5p.PropDCID) -> None:
    stored = array.get_storage_size()
    if how.get_layout() not in KEPT_IN_ONE_PIECE or stored != math.prod(array.shape) * array.dtype.itemsize:
        raise DataError(f"{name} is not stored in one piece")


def _check_chunks(name: str, array: h5py.h5d.DatasetID, how: h5py.h5p.PropDCID) -> None:
    """Check that frames are stored as documented, and are no more than the bytes stored can hold."""
    filters = [how.get_filter(index)[0] for index in range(how.get_nfilters())]
    if how.get_layout() != h5py.h5d.CHUNKED or filters != [h5py.h5z.FILTER_DEFLATE]:
        raise DataError(f"{name} is not stored in chunks, compressed with gzip alone")
    sides = how.get_chunk()
    if sides[1:] != array.shape[1:]:
        raise DataError(f"{name} is not stored in chunks of whole frames")
    size, chunk, stored = math.prod(array.shape), math.prod(sides), array.get_storage_size()
    if size > min(MAX_BYTES, MAX_RATIO * stored) or chunk > MAX_CHUNK_BYTES:
        raise DataError(
            f"{name} claims {size:,} bytes in chunks of {chunk:,}, of which {stored:,} are stored; at most "
            f"{MAX_BYTES:,} in chunks of {MAX_CHUNK_BYTES:,} are read"
        )
