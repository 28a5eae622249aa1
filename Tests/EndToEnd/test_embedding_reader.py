# Promise: embedding-reader, on which autofaiss and clip-retrieval stand, reads the shards as they are.
import numpy as np
import pytest
from embedding_reader import EmbeddingReader

from client import Client, rows_of, same_bits, shard_files


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("is_live", [True, False])
def test_reads_the_same_vectors(launch, dtype, is_live):
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url, "vectors")
    client.create(96, dtype)
    batches = [rows_of(77, 96, seed, dtype) for seed in range(9)]
    for seed, rows in enumerate(batches):
        client.append([f"{seed}/{index}" for index in range(77)], rows)
    if not is_live:
        assert server.terminate() == 0

    reader = EmbeddingReader(
        str(server.store / "collections/vectors/shards"), file_format="npy")
    pieces = [rows for rows, _ in reader(batch_size=100, show_progress=False)]

    assert len(shard_files(server.store, "vectors")) > 1
    assert reader.dimension == 96 and reader.count == 9 * 77
    assert same_bits(np.concatenate(pieces), np.concatenate(batches).astype("<f4"))
