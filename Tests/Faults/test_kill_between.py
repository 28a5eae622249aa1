# Promise: a batch is absent until its record is durable, and is there, once, from then on, whatever of it was answered.
import pytest

from client import Client, shard_file
from killing import FLAGS, IS_THOROUGH, Worker, assert_recovers, batches_in_catalog, is_killed, made_store, points_of
from server_process import ServerProcess
from strace import Call, kill_at, need_strace, spread, traced

# Operations until the stop: so many that the catalog, which lets batches gather, is written meanwhile.
LAST = 40


@pytest.fixture
def folder(tmp_path):
    need_strace()
    return tmp_path


def append(worker, server):
    worker.work(Client(server.url), LAST)
    return server.terminate()


def killed_at(folder, prefix):
    """A store whose server was killed while a worker wrote."""
    store, worker = folder / "store", Worker()
    made_store(store, folder)
    server = ServerProcess(store, *FLAGS, log_path=folder / "server.log", prefix=prefix)
    return store, worker, is_killed(server, lambda server: append(worker, server))


@pytest.mark.fault("A2")
def test_rows_without_a_record_are_no_batch(folder, injections):
    """Between the write of the rows and that of the record."""
    for number in range(1, 3):
        log = folder / "store/collections/default/shards/000000/commits.log"
        store, worker, killed = killed_at(folder, kill_at(folder / "trace", Call("pwrite64", str(log), number)))
        assert killed and worker.count == number
        injections.add()
        written = shard_file(store).read_bytes()

        server = ServerProcess(store, *FLAGS, log_path=folder / "server.log").start()
        client = Client(server.url)
        kept = 128 + sum(one["rows"] for one in worker.receipts.values()) * 384 * 4
        assert any(written[kept:]), "the rows were not written before the record"
        assert client.receipt(f"w0.{number:07d}").status_code == 404
        assert not any(shard_file(store).read_bytes()[kept:]), "what was torn is still there"
        assert server.terminate() == 0
        assert_recovers(store, worker, folder / "server.log")


@pytest.mark.fault("A3")
def test_durable_batch_whose_answer_was_lost_is_stored_once(folder, injections):
    """Between the sync and the answer: sendto is the answer."""
    for number in range(1, 4):
        answer = traced(folder / "trace", f"sendto:signal=SIGKILL:when={number}", calls=["sendto"])
        store, worker, killed = killed_at(folder, answer)
        assert killed and worker.count == number - 1
        injections.add()
        server = ServerProcess(store, *FLAGS, log_path=folder / "server.log").start()
        client = Client(server.url)
        lost = f"w0.{worker.count:07d}"
        if worker.count % 4 != 3:
            receipt = client.receipt(lost)
            assert receipt.status_code == 200, "a durable batch is gone"
            worker.work(client, number)
            assert worker.receipts[lost] == receipt.json()
        assert server.terminate() == 0
        assert_recovers(store, worker, folder / "server.log")


@pytest.mark.fault("A4")
def test_catalog_that_was_not_told_is_rolled_forward(folder, injections):
    """Between the log and the catalog's own commit."""
    made_store(folder / "store", folder)
    points = points_of(folder, folder / "store", lambda server: append(Worker(), server))
    first_commit = next(index for index, one in enumerate(points) if one.path.endswith("commits.log"))
    writes = [one for one in points[first_commit:]
              if one.name == "pwrite64" and one.path.endswith("catalog.sqlite-wal")]
    for point in writes if IS_THOROUGH else spread(writes, 6):
        store, worker, killed = killed_at(folder, kill_at(folder / "trace", point))
        if not killed or batches_in_catalog(store, folder / "copy") >= worker.count:
            continue
        injections.add()
        assert_recovers(store, worker, folder / "server.log")
        assert batches_in_catalog(store, folder / "copy") == worker.count
