# Asks health and readiness all the time and compares them with what writes really meet. The writes: load.py.
import json
import time
from bisect import bisect_right

import requests

from threads import Threads

INTERVAL = 0.1
PATHS = ("/readyz", "/health")
# A probe is made once a second: what it says is right may be wrong for the next batch, until that one has failed.
PROBE_SECONDS = 1
GREEN_WHILE_BROKEN_SECONDS = 3
RED_WHILE_FINE_SECONDS = 10
ANSWER_SECONDS = 20
# A write that takes so long is as good as none.
HANGING_SECONDS = 33


class HealthWatch(Threads):
    """`with HealthWatch(load):` fails at the end when health said for too long what was not true."""

    def __init__(self, load):
        super().__init__(1)
        self.load, self.samples = load, []

    def work(self, _):
        session = requests.Session()
        while not self.is_stopping:
            for path in PATHS:
                began = time.monotonic()
                response = session.get(self.load.url + path, timeout=ANSWER_SECONDS)
                # What it said was true at some time of the request.
                self.samples.append((began, time.monotonic(), path, response.status_code, response.text))
                assert response.status_code in (200, 503), response.text
            self.pause(INTERVAL)

    def __exit__(self, kind, *_):
        super().__exit__(kind)
        if kind is None:
            assert self.samples, "nobody asked"
            lies = self.lies()
            assert not lies, f"{len(lies)} of {len(self.samples)}, first: {lies[0]}"

    def was_red(self):
        return any(status == 503 for _, _, _, status, _ in self.samples)

    def was_red_since(self, moment):
        """Whether every answer since then was red, of which there were some."""
        since = [status for began, _, _, status, _ in list(self.samples) if began >= moment]
        return len(since) > 1 and set(since) == {503}

    def lies(self):
        """Answers that were green though nothing could be written, or red though everything could; each for so long that
        a probe had the time to find out.
        """
        truth, found = Truth(self.load.attempts), []
        for wanted in PATHS:
            since = None
            for began, ended, path, status, text in self.samples:
                if path != wanted:
                    continue
                lie = truth.lie(began, ended, path, status, text)
                since = (since or began) if lie else None
                if lie and ended - since > PROBE_SECONDS:
                    found.append(lie)
        return found


class Truth:
    """When writes succeeded, and when they did not."""

    def __init__(self, attempts):
        ended = [one for one in list(attempts) if one.ended is not None]
        self.stored = sorted((one.ended, one.began) for one in ended if one.is_stored)
        # Who is told to come back in a second was not refused for want of a disk.
        self.failed = sorted(
            (one.ended, one.began) for one in ended if not one.is_stored and one.answer and one.answer[0] != 429)
        self.spans = sorted((one.began, one.ended or float("inf")) for one in list(attempts))
        self.stored_at = [at for at, _ in self.stored]
        self.failed_at = [at for at, _ in self.failed]

    def lie(self, began, ended, path, status, text):
        if status == 503:
            fine = self.fine_for(began)
            return f"{path} is red, and everything was stored for {fine:.1f} s: {text}" \
                if fine > RED_WHILE_FINE_SECONDS else None
        if self.was_stored(began, ended):
            return None
        hanging = self.hanging_for(began, ended)
        failing = 0 if self.is_stored_next(ended) else self.failing_for(began)
        if failing > GREEN_WHILE_BROKEN_SECONDS:
            return f"{path} is green, and writes have failed for {failing:.1f} s: {text}"
        # Slow is not broken: it is said where there is a word for it, until it is too slow for anybody.
        is_said = path == "/health" and json.loads(text)["status"] != "pass"
        limit = HANGING_SECONDS if path == "/readyz" or is_said else GREEN_WHILE_BROKEN_SECONDS
        if hanging > limit:
            return f"{path} is green, and a write has been waiting for {hanging:.1f} s: {text}"
        return None

    def was_stored(self, began, ended):
        return bisect_right(self.stored_at, began) < bisect_right(self.stored_at, ended)

    def is_stored_next(self, now):
        """Whether the writes that began after this moment were stored: then it was true already."""
        later = bisect_right(self.stored_at, now)
        until = self.stored_at[later] if later < len(self.stored_at) else float("-inf")
        return until > now and not any(began > now and ended < until for ended, began in self.failed)

    def _last_stored(self, now):
        last = bisect_right(self.stored_at, now)
        return self.stored_at[last - 1] if last else float("-inf")

    def failing_for(self, now):
        """Seconds since the first failure behind the last write that was stored."""
        first = bisect_right(self.failed_at, self._last_stored(now))
        return now - self.failed_at[first] if first < len(self.failed_at) and self.failed_at[first] < now else 0

    def hanging_for(self, began, ended):
        """Seconds for which a write has been waiting and none was stored."""
        waiting = [at for at, until in self.spans if at < began and until > ended]
        return began - max(min(waiting), self._last_stored(began)) if waiting else 0

    def fine_for(self, began):
        """Seconds in which writes were stored and none failed."""
        last = bisect_right(self.failed_at, began)
        since = self.failed_at[last - 1] if last else float("-inf")
        first = bisect_right(self.stored_at, since)
        if first == len(self.stored_at) or self.stored_at[first] > began:
            return 0
        return began - self.stored_at[first]
