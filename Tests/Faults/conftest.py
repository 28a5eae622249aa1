# Ends servers that a test left behind, so that no fault outlives it.
import pytest

from server_process import ServerProcess


@pytest.fixture(autouse=True)
def no_server_is_left():
    yield
    for server in list(ServerProcess.running):
        server.kill()
