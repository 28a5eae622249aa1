# Faults at system calls of a running server, by strace. Used by test_kill_at_calls.py, test_power_cut.py and others.
import collections
import itertools
import re
import shutil
import subprocess

import pytest

from client import wait_for

# Every call that changes what is on the disk.
STORAGE_CALLS = (
    "pwrite64", "pwritev", "fdatasync", "fsync", "sync_file_range", "msync", "rename", "renameat2", "link", "unlink",
    "rmdir", "ftruncate", "fallocate", "mkdir")
LINE = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\((?P<arguments>.*)$")
DESCRIPTOR_PATH = re.compile(r"^\d+<(?P<path>/[^>]*)>")
FIRST_PATH = re.compile(r'"(?P<path>/[^"]*)"')

# The n-th call of one thread on one path.
Call = collections.namedtuple("Call", "name path number")


def need_strace():
    """Skips with the reason where strace cannot trace."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tried = subprocess.run(["strace", "-qq", "-f", "-e", "trace=rmdir", "true"], capture_output=True,
                           text=True)
    if tried.returncode != 0:
        pytest.skip(f"strace cannot trace here: {tried.stderr.strip()}")


def traced(log, *injections, calls=STORAGE_CALLS, paths=()):
    """The command that a server is run under; the server keeps its own pid, and strace ends with it.

    Without --seccomp-bpf: with it, strace 6.1 injects nothing.
    """
    command = ["strace", "-D", "-f", "-q", "-y", "-o", str(log), "-e", "trace=" + ",".join(calls)]
    for path in paths:
        command += ["-P", str(path)]
    for injection in injections:
        command += ["-e", f"inject={injection}"]
    return command


def kill_at(log, call):
    """SIGKILL instead of one call."""
    return traced(log, f"{call.name}:signal=SIGKILL:when={call.number}", calls=[call.name], paths=[call.path])


def calls_in(log, folder):
    """Every call below a folder that a trace without injections shows, each once, in order."""
    counts, found = collections.Counter(), {}
    for line in complete(log).splitlines():
        match = LINE.match(line)
        if not match:
            continue
        path = DESCRIPTOR_PATH.match(match["arguments"]) or FIRST_PATH.search(match["arguments"])
        if not path or not path["path"].startswith(str(folder)):
            continue
        key = match["thread"], match["call"], path["path"]
        counts[key] += 1
        found[Call(match["call"], path["path"], counts[key])] = None
    return list(found)


def complete(log):
    """What strace wrote, which goes on for a moment after the server has ended."""
    def found():
        text = log.read_text(errors="replace")
        return text if text and re.search(rf"^{text.split()[0]} +\+\+\+ ", text, re.MULTILINE) else ""
    return wait_for(found, bool)


def kind(call):
    """What a call is for, without the numbers of shards."""
    return call.name, re.sub(r"\d{6}", "N", call.path)


def spread(calls, count):
    """So many of the calls: evenly over their kinds, and within each."""
    kinds = collections.defaultdict(list)
    for call in calls:
        kinds[kind(call)].append(call)
    turns = itertools.zip_longest(*map(evenly, kinds.values()))
    order = [evenly([call for call in turn if call]) for turn in turns]
    return list(itertools.chain(*order))[:count]


def evenly(values):
    """The middle one first, then the middles of the halves, and so on."""
    order, spans = [], collections.deque([(0, len(values))])
    while spans:
        start, end = spans.popleft()
        if start < end:
            middle = (start + end) // 2
            order.append(values[middle])
            spans += [(start, middle), (middle + 1, end)]
    return order
