"""HARTONOMOUS_SOAK_HISTORIES random histories of coefficients by four sessions, by HARTONOMOUS_SOAK_SEED."""

import os

from histories import Histories

SEED = int(os.environ.get("HARTONOMOUS_SOAK_SEED", "1"))
HISTORIES = int(os.environ.get("HARTONOMOUS_SOAK_HISTORIES", "10000"))
AT_ONCE = 200


def test_every_snapshot_can_be_read_again(server, template):
    compared = 0
    with server.database(f"soak_histories_{os.getpid()}", template=template) as dsn:
        for number in range(-(-HISTORIES // AT_ONCE)):
            world = Histories(dsn, SEED + number, AT_ONCE)
            world.run()
            assert world.differences() == []
            compared += world.done["compared"]
            world.clear()
    print(f"{compared} snapshots compared")
