# Threads that work until a block ends, and keep what went wrong. Used by memory.py, writers.py and tests here, and by
# health_watch.py, load.py, power.py, torture.py and test_mapped_files.py in Tests/Faults.
import threading

END_SECONDS = 120


class Threads:
    """`with Threads(count) as threads:` calls `work(number)`, of a subclass, in each; it returns once `is_stopping`.

    At its end the block fails when one of them failed, or does not end.
    """

    def __init__(self, count):
        self.problems = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(number,), daemon=True) for number in range(count)]

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
        self._stopping.set()
        self._join()
        if kind is None:
            self._check()

    def stop(self):
        """Ends them before the block does."""
        self._stopping.set()
        self.wait()

    def wait(self):
        """Waits for those that end by themselves."""
        self._join()
        self._check()

    def _join(self):
        for thread in self._threads:
            thread.join(END_SECONDS)

    def _check(self):
        assert not self.problems, self.problems
        running = [thread for thread in self._threads if thread.is_alive()]
        assert not running, f"{len(running)} threads did not end in {END_SECONDS} s"


class Jobs(Threads):
    """`with Jobs(read, write):` calls each again and again in a thread of its own, with the number of the turn.

    A job that gives True is done; `turns` says how often each was called.
    """

    def __init__(self, *jobs):
        super().__init__(len(jobs))
        self.jobs, self.turns = jobs, [0] * len(jobs)

    def work(self, number):
        while not self.is_stopping and self.jobs[number](self.turns[number]) is not True:
            with self._changed:
                self.turns[number] += 1
                self._changed.notify_all()

    def wait_for_turns(self, count, seconds=60):
        """Waits until each had so many turns more than now, unless one fails."""
        goals = [turn + count for turn in self.turns]
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.problems or all(turn >= goal for turn, goal in zip(self.turns, goals)), seconds), self.turns
        assert not self.problems, self.problems
