# Threads that work until a block ends, and keep what went wrong. Used by writers.py, and by load.py, torture.py and
# test_mapped_files.py in Tests/Faults.
import threading


class Threads:
    """`with Threads(count) as threads:` calls `work(number)`, of a subclass, in each; it returns once `is_stopping`."""

    def __init__(self, count):
        self.problems = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(number,)) for number in range(count)]

    @property
    def is_stopping(self):
        return self._stopping.is_set()

    def pause(self, seconds):
        """Waits, but not beyond the end of the block."""
        self._stopping.wait(seconds)

    def _guard(self, number):
        try:
            self.work(number)
        except BaseException as problem:
            with self._changed:
                self.problems.append(problem)
                self._changed.notify_all()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()
        assert kind or not self.problems, self.problems

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(120)
