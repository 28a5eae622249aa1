# Promise: every command in README.md works, in the order in which it stands there.
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from server_process import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
# These set up the machine or run this very test, so only their names and syntax are checked.
SET_UP = ["deploy/quickstart", "deploy/test"]
ADDRESS = "127.0.0.1:8080"
STORE = "ingot-data"


def is_set_up(content):
    return all(line.split("#")[0].strip() in SET_UP for line in content.strip().splitlines())


def test_every_block_has_a_language_that_is_run():
    assert {language for language, _ in BLOCKS} <= {"sh", "python"}
    assert len(re.findall(r"^```", README, re.MULTILINE)) == 2 * len(BLOCKS)


def test_set_up_commands_are_named_and_can_be_run():
    named = [line.split("#")[0].strip() for language, content in BLOCKS if is_set_up(content)
             for line in content.strip().splitlines()]
    assert named == SET_UP
    for name in [*SET_UP, "deploy/install-packages", ".ci/run"]:
        assert os.access(ROOT / name, os.X_OK), f"{name} is not executable"
        assert subprocess.run(["bash", "-n", ROOT / name]).returncode == 0


def test_blocks_run_in_order(launch, tmp_path):
    server = launch(store=tmp_path / STORE)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_PROXY": "*"}
    run_count = 0
    for language, content in BLOCKS:
        if is_set_up(content):
            continue
        content = content.replace(ADDRESS, f"127.0.0.1:{server.port}")
        arguments = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
        found = subprocess.run(
            [*arguments, content], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=120)
        assert found.returncode == 0, f"{content}\n{found.stdout}{found.stderr}"
        run_count += 1

    assert run_count >= 3
    rows = np.load(tmp_path / STORE / "collections/default/shards/000000/embeddings.npy", mmap_mode="r")
    assert len(rows) > 0


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
