# Ways to damage a store that is not in use, or is. Used by the tests of damage, here and in Faults.
import hashlib
import shutil
from pathlib import Path

from client import shard_file

HEADER_BYTES = 128


def shard_folder(store, shard=0, collection="default"):
    return shard_file(store, shard, collection).parent


def flip(path, offset, bit=3):
    """Changes one bit; a negative offset counts from the end."""
    with open(path, "r+b") as file:
        file.seek(offset, 2 if offset < 0 else 0)
        place = file.tell()
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def damage_row(store, receipt, row, dimension):
    """Changes one bit of a row of a receipt."""
    offset = HEADER_BYTES + (receipt["first_row"] + row) * dimension * 4 + 5
    flip(shard_file(store, receipt["shard"], receipt["collection"]), offset)


def record_offsets(log):
    """Where the records of a commits.log start."""
    content, offsets = Path(log).read_bytes(), []
    position = content.find(b"INGOTREC")
    while position >= 0:
        offsets.append(position)
        position = content.find(b"INGOTREC", position + 8)
    return offsets


def contents(folder):
    """Every file below a folder with a digest of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def swap(first, second):
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def copy_store(store, target):
    shutil.copytree(store, target)
    return target
