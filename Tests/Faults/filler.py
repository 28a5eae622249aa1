# Takes all that is free on a file system and gives it back, until it is ended. Run by disks.py.
import os
import random
import sys
import time

PAGE = 4096
STEP = 64 << 10


def main(path, seed):
    chance = random.Random(seed)
    while True:
        with open(path, "wb") as file:
            size, step = 0, STEP
            ends = time.monotonic() + chance.uniform(0.05, 0.4)
            while time.monotonic() < ends:
                try:
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
                    step = STEP
                except OSError:
                    step = PAGE
                    time.sleep(0.001)
        os.unlink(path)
        time.sleep(chance.uniform(0.05, 0.2))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
