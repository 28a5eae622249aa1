# File systems in an image, whose power can be cut: what was not synced is lost. Used by test_power_cut.py.
import ctypes
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from client import shard_files

IMAGE_BYTES = 512 << 20
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
PAGE_BYTES = 4096
SYNC_FILE_RANGE_WRITE_AND_WAIT = 7


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Disk:
    """A mounted image. `with Disk("xfs", folder) as disk:` undoes everything, whatever happens."""

    def __init__(self, kind, folder):
        if os.geteuid() != 0:
            pytest.skip("mounting an image needs root")
        for tool in (MAKE[kind][0], "xfs_io"):
            if not shutil.which(tool):
                pytest.skip(f"{tool} is not installed")
        self.kind = kind
        self.mount_point = Path(folder) / "disk"
        self.mount_point.mkdir()
        # In memory where there is room, so that the disk's own speed does not matter.
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else folder, prefix="ingot-disk-"))
        self.image = self.folder / "image"

    def __enter__(self):
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        made = run(*MAKE[self.kind], str(self.image))
        mounted = made if made.returncode else self._mount()
        if mounted.returncode:
            shutil.rmtree(self.folder)
            pytest.skip(f"no {self.kind} can be mounted here: {mounted.stderr.strip()}")
        return self

    def __exit__(self, *_):
        try:
            self._unmount()
        finally:
            shutil.rmtree(self.folder)

    def _mount(self):
        return run("mount", "-o", "loop", str(self.image), str(self.mount_point))

    def _unmount(self):
        for _ in range(100):
            unmounted = run("umount", str(self.mount_point))
            if unmounted.returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError(f"still in use: {unmounted.stderr}")

    def cut_power(self, keeps_journal=False):
        """Nothing reaches the disk any more; with `keeps_journal`, what the journal has still does: sizes, no bytes."""
        done = run("xfs_io", "-x", "-c", "shutdown -f" if keeps_journal else "shutdown", str(self.mount_point))
        assert done.returncode == 0 and not done.stderr, done.stderr

    def come_back(self):
        """After a power cut, once nobody uses it."""
        self._unmount()
        mounted = self._mount()
        assert mounted.returncode == 0, mounted.stderr


class PageFlusher:
    """Brings single pages of live files to the disk, as the kernel might: others are then lost in a power cut."""

    def __init__(self, store, seed):
        self.store, self.chance = store, random.Random(seed)
        self.count = 0
        self._stopping = threading.Event()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        while not self._stopping.wait(0.002):
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
