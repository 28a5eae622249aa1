# Small file systems to fill, break and unmount: tmpfs, and ext4 on a loop device. Used by the tests of this folder.
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mounts import mounted, must, need_root, run

PAGE = 4096
FILLER = Path(__file__).with_name("filler.py")


class SmallDisk:
    """A mounted file system of its own, and a file that takes the room on it."""

    def __init__(self, folder, image=None):
        self.folder, self.image = folder, image
        self.filler = folder / "filler"

    @property
    def free(self):
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def fill_to(self, free_byte_count):
        """Takes room until so much is free, to the page; the server may take some meanwhile as well."""
        with open(self.filler, "ab") as file:
            for _ in range(50):
                more = self.free - free_byte_count
                if more < PAGE:
                    break
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, more)
                    continue
                # Blocks that say where blocks are need room as well, where little is free.
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, PAGE)
        return self.free

    def release(self):
        if self.filler.exists():
            os.truncate(self.filler, 0)

    def competing(self, seed=0):
        """A process that takes all that is free and gives it back, again and again; ended by its pid."""
        return subprocess.Popen([sys.executable, FILLER, self.folder / "competing", str(seed)])

    def is_writable(self):
        try:
            (self.folder / "probe").write_bytes(b"x")
            (self.folder / "probe").unlink()
            return True
        except OSError:
            return False

    def write_page_by_page(self):
        """Without this a loop device calls a write done of which only the first pages found room: a disk that lies."""
        device = Path(must("findmnt", "-n", "-o", "SOURCE", self.folder).stdout.strip()).name
        Path(f"/sys/block/{device}/queue/max_sectors_kb").write_text(str(PAGE >> 10))

    def mount_again(self):
        """Nothing is left in memory of what was not written."""
        for command in (["umount", self.folder], ["mount", "-o", "loop,errors=continue", self.image, self.folder]):
            done = run(*command)
            assert done.returncode == 0, done.stderr


class Disks:
    """`with Disks(folder) as disks:` unmounts what it made in the opposite order, whatever is in use or fails."""

    def __init__(self, folder):
        need_root()
        self.folder, self.count = folder, 0
        self._mounts = contextlib.ExitStack()

    def _mount(self, name, *options):
        folder = self.folder / f"{name}-{self.count}"
        self.count += 1
        folder.mkdir()
        return self._mounts.enter_context(mounted(folder, *options))

    def tmpfs(self, byte_count, inode_count=0):
        return SmallDisk(
            self._mount("tmpfs", "-t", "tmpfs", "-o", f"size={byte_count},nr_inodes={inode_count}", "ingot-test"))

    def ext4(self, byte_count, backing_byte_count=None, make=(), options="errors=continue"):
        """On a loop device whose image is in memory; with less memory than the image says, writes succeed and syncs fail."""
        backing = self.tmpfs(backing_byte_count or byte_count + (1 << 20))
        image = backing.folder / "image"
        with open(image, "wb") as file:
            file.truncate(byte_count)
        must("mkfs.ext4", "-q", "-F", "-m", "0", "-b", PAGE, "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
             *(make or ("-J", "size=4")), image)
        folder = self._mount("ext4", "-o", f"loop,{options}", image)
        disk = SmallDisk(folder, image)
        if backing_byte_count:
            disk.write_page_by_page()
        return disk

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._mounts.close()


@pytest.fixture
def disks(tmp_path):
    """Ask for it before `launch`: servers are then ended before their disk is unmounted."""
    with Disks(tmp_path) as made:
        yield made
