# What the kernel says of a running process. Its threads and files come and go meanwhile: those that are gone are left out.
import os
import re
from pathlib import Path


def threads(pid, name=None):
    """The threads of a process, or those of a name."""
    numbers = [int(one) for one in os.listdir(f"/proc/{pid}/task")]
    return [one for one in numbers if name is None or (_read(pid, one, "comm") or "").strip() == name]


def is_traced(pid, thread):
    """Whether a debugger holds the thread; None when there is no such thread any more."""
    status = _read(pid, thread, "status")
    return None if status is None else not re.search(r"TracerPid:\s+0$", status, re.MULTILINE)


def held_files(pid):
    """The names of the files that a process holds, as the kernel gives them: "(deleted)" behind those that have none."""
    folder, names = Path(f"/proc/{pid}/fd"), []
    for number in os.listdir(folder):
        try:
            names.append(os.readlink(folder / number))
        except FileNotFoundError:
            continue
    return names


def _read(pid, thread, name):
    try:
        return Path(f"/proc/{pid}/task/{thread}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
