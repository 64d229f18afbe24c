"""Storing, purging, collecting and kill -9 for HARTONOMOUS_SOAK_SECONDS seconds, by HARTONOMOUS_SOAK_SEED."""

import os

import garbage
from cluster import OwnServer

SEED = int(os.environ.get("HARTONOMOUS_SOAK_SEED", "1"))
SECONDS = float(os.environ.get("HARTONOMOUS_SOAK_SECONDS", "300"))


def test_everything_at_once(tmp_path):
    with OwnServer(tmp_path) as server:
        server.create("busy", extension=True)
        trial = garbage.Trial(server, "busy", SEED)
        trial.run(SECONDS, pause=7)
        print(dict(trial.done))
        assert trial.done["killed"] and trial.done["collected"] and trial.done["_purges"] and trial.done["_explodes"]
        trial.check()
