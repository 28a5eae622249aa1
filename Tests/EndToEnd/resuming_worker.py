# One worker process of test_real_model.py: stores its share of the vectors and resumes from its receipts.
#
#     resuming_worker.py URL NAME FIRST STOP RECEIPTS
#
# Appends a line of JSON to the file RECEIPTS for every acknowledged batch. Exits 75 when the server
# is gone; started again, it asks for the receipt of each batch and sends only what is not durable.
import json
import sys
import time
from pathlib import Path

import numpy as np
import requests

from client import Client, npz

BATCH_ROW_COUNT = 8
SERVER_GONE = 75
DATA = Path(__file__).resolve().parents[1] / "Data"


def main(url, name, first, stop, receipts_path):
    embeddings = np.load(DATA / "minilm-sentences.npz")["embeddings"]
    client = Client(url)
    with open(receipts_path, "a") as receipts:
        for start in range(int(first), int(stop), BATCH_ROW_COUNT):
            end = min(start + BATCH_ROW_COUNT, int(stop))
            batch_id = f"{name}.{start:06d}"
            response = client.receipt(batch_id)
            if response.status_code == 404:
                body = npz(ids=np.arange(start, end), embeddings=embeddings[start:end])
                response = client.put_batch(batch_id, body)
            response.raise_for_status()
            print(json.dumps(response.json()), file=receipts, flush=True)
            time.sleep(0.002)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except requests.ConnectionError:
        sys.exit(SERVER_GONE)
