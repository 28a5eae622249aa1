# How often each fault was injected, for the table in docs/durability.md. A pytest plugin; Sources/DiskSimulation/FaultCounts.swift
# does the same for the simulated disk. Each line: fault, test, injections, violations, reason of a skip.
import os

import pytest


class Injections:
    """Counts what a test really injected."""

    def __init__(self):
        self.count = 0

    def add(self, count=1):
        self.count += count


@pytest.fixture
def injections(request):
    """A test that is marked with `fault` and passes must have counted at least one injection here."""
    request.node.injections = Injections()
    return request.node.injections


def pytest_configure(config):
    config.addinivalue_line("markers", "fault(*ids): the faults of docs/durability.md that a test injects")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    mark = item.get_closest_marker("fault")
    count = item.injections.count if hasattr(item, "injections") else 0
    if mark and report.when == "call" and report.passed and not count:
        report.outcome, report.longrepr = "failed", "the test passed without one injection"
    if mark and (report.when == "call" or not report.passed):
        write(mark.args, item.nodeid.removeprefix("Tests/"), count, report)
    return report


def write(faults, test, count, report):
    path = os.environ.get("INGOT_FAULT_COUNTS")
    if not path:
        return
    reason = str(report.longrepr[2]).removeprefix("Skipped: ") if report.skipped else ""
    with open(path, "a") as file:
        for fault in faults:
            file.write(f"{fault}\t{test}\t{count}\t{int(report.failed)}\t{' '.join(reason.split())}\n")
