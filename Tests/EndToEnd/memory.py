# Memory of a running process that no file stands behind, and how much it was at most. Used by the tests that promise a limit.
import re
from pathlib import Path

from threads import Threads

INTERVAL = 0.01
# Fewer looks than these have seen nothing.
LOOK_COUNT_MIN = 5


def anonymous_bytes(pid):
    """None once the process has ended: until it is waited for, it keeps its file, without this line."""
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else None


class MemoryWatch(Threads):
    """`with MemoryWatch(pid) as memory:` looks until the block or the process ends; `memory.peak` is the most that it saw.

    The block fails when nobody looked.
    """

    def __init__(self, pid):
        super().__init__(1)
        self.pid, self.peak, self.look_count = pid, 0, 0

    def work(self, _):
        while not self.is_stopping and (found := anonymous_bytes(self.pid)) is not None:
            self.peak = max(self.peak, found)
            self.look_count += 1
            self.pause(INTERVAL)

    def __exit__(self, kind, *_):
        super().__exit__(kind)
        assert kind or self.look_count >= LOOK_COUNT_MIN and self.peak, f"looked {self.look_count} times"
