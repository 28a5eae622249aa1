# File systems in an image, whose power can be cut: what was not synced is lost. Used by test_power_cut.py.
import contextlib
import ctypes
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from client import shard_files
from mounts import detach, is_mounted, need_root, run
from threads import Threads

IMAGE_BYTES = 512 << 20
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
PAGE_BYTES = 4096
# Who was killed lets go of it within a moment.
UNMOUNT_SECONDS = 10
SYNC_FILE_RANGE_WRITE_AND_WAIT = 7


class Disk:
    """A mounted image. `with Disk("xfs", folder) as disk:` undoes everything, whatever happens."""

    def __init__(self, kind, folder):
        need_root()
        for tool in (MAKE[kind][0], "xfs_io"):
            if not shutil.which(tool):
                pytest.skip(f"{tool} is not installed")
        self.kind, self.folder = kind, Path(folder)
        self.mount_point = self.folder / "disk"
        self.mount_point.mkdir()

    def __enter__(self):
        # In memory where there is room, so that the disk's own speed does not matter.
        memory = Path("/dev/shm")
        with contextlib.ExitStack() as made:
            self.image = Path(made.enter_context(tempfile.TemporaryDirectory(
                dir=memory if memory.is_dir() else self.folder, prefix="ingot-disk-"))) / "image"
            with open(self.image, "wb") as file:
                file.truncate(IMAGE_BYTES)
            for step in (lambda: run(*MAKE[self.kind], self.image), self._mount):
                done = step()
                if done.returncode:
                    pytest.skip(f"no {self.kind} can be mounted here: {done.stderr.strip()}")
            made.callback(detach, self.mount_point)
            # Said when somebody still uses it, who may be of a test that failed.
            made.callback(self._unmount)
            self._made = made.pop_all()
        return self

    def __exit__(self, *_):
        self._made.close()

    def _mount(self):
        return run("mount", "-o", "loop", self.image, self.mount_point)

    def _unmount(self):
        unmounted, ends = None, time.monotonic() + UNMOUNT_SECONDS
        while is_mounted(self.mount_point):
            assert time.monotonic() < ends, f"still in use: {unmounted.stderr}"
            unmounted = run("umount", self.mount_point)
            if unmounted.returncode:
                time.sleep(0.05)

    def cut_power(self, keeps_journal=False):
        """Nothing reaches the disk any more; with `keeps_journal`, what the journal has still does: sizes, no bytes."""
        done = run("xfs_io", "-x", "-c", "shutdown -f" if keeps_journal else "shutdown", self.mount_point)
        assert done.returncode == 0 and not done.stderr, done.stderr

    def come_back(self):
        """After a power cut, once nobody uses it."""
        self._unmount()
        mounted = self._mount()
        assert mounted.returncode == 0, mounted.stderr


class PageFlusher(Threads):
    """Brings single pages of live files to the disk, as the kernel might: others are then lost in a power cut."""

    def __init__(self, store, seed):
        super().__init__(1)
        self.store, self.chance = store, random.Random(seed)
        self.count = 0
        self._libc = ctypes.CDLL(None, use_errno=True)

    def work(self, _):
        while not self.is_stopping:
            self.pause(0.002)
            try:
                last = shard_files(self.store)[-1]
                self._flush(self.chance.choice([last, last.with_name("commits.log")]))
            except (OSError, IndexError):
                continue  # no shard yet, or no power any more

    def _flush(self, path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            page = self.chance.randrange(os.fstat(descriptor).st_size // PAGE_BYTES + 1)
            self.count += self._libc.sync_file_range(
                descriptor, ctypes.c_int64(page * PAGE_BYTES), ctypes.c_int64(PAGE_BYTES),
                SYNC_FILE_RANGE_WRITE_AND_WAIT) == 0
        finally:
            os.close(descriptor)
