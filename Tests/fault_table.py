#!/usr/bin/env python3
"""Makes the table of injected faults in docs/durability.md.

    Tests/fault_table.py COUNTS [--write]

COUNTS is what the tests appended to the file named by INGOT_FAULT_COUNTS. Prints the table; --write puts it into the document.
Exits with 1 when a fault was injected by no test and skipped by none, or when a promise was found broken.
"""
import sys
from collections import defaultdict
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "durability.md"
BEGIN, END = "<!-- faults:", "<!-- end of faults -->"


def read_counts(path):
    """By fault: injections by test, violations, reasons of skips."""
    counts = defaultdict(lambda: (defaultdict(int), [0], []))
    for line in Path(path).read_text().splitlines():
        fault, test, injections, violations, reason = line.split("\t")
        tests, broken, skips = counts[fault]
        broken[0] += int(violations)
        if reason:
            skips.append(f"{short(test)}: {reason}")
        else:
            tests[short(test)] += int(injections)
    return counts


def short(test):
    """`Faults/test_x.py::test_name[parameters]` without folder and parameters."""
    return test.split("[")[0].split("/")[-1]


def rows(text, counts):
    """The rows of the table, by what the document names and what the tests counted."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 6 or not cells[0][1:].isdigit():
            yield line
            continue
        tests, broken, skips = counts[cells[0]]
        names = "<br>".join(f"`{test}`" for test in sorted(tests))
        yield "| " + " | ".join([
            *cells[:2], names, f"{sum(tests.values()):,}", str(broken[0]), "<br>".join(sorted(set(skips)))]) + " |"


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 0 if arguments == ["--help"] else 64
    counts = read_counts(arguments[0])
    document = DOCUMENT.read_text()
    start, end = document.index("\n", document.index(BEGIN)) + 1, document.index(END)
    table = "\n".join(rows(document[start:end], counts)) + "\n"
    print(table, end="")
    if "--write" in sys.argv:
        DOCUMENT.write_text(document[:start] + table + document[end:])
    named = {line.split("|")[1].strip() for line in table.splitlines()[2:]}
    problems = [f"{fault} is in no row of the table" for fault in counts if fault not in named]
    problems += [f"{fault} was injected by no test" for fault in sorted(named)
                 if not any(counts[fault][0].values()) and not counts[fault][2]]
    problems += [f"{fault}: {counts[fault][1][0]} violations" for fault in sorted(named) if counts[fault][1][0]]
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
