"""Interrupting any step and running it again ends in the same state as an undisturbed run.

On a server of its own, since a killed backend restarts the whole server.
"""

import random

import interruption
import pytest
from cluster import OwnServer

STRIKES = 1


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    with OwnServer(tmp_path_factory.mktemp("server")) as server:
        server.create("empty", extension=True)
        yield server


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    return interruption.steps(tmp_path_factory.mktemp("steps"))


@pytest.fixture(scope="module")
def calm(own_server, steps):
    with own_server.database("calm", template="empty"):
        return interruption.Trial(own_server, "calm", steps).undisturbed()


@pytest.mark.parametrize("kind", interruption.KINDS)
def test_ends_as_undisturbed(own_server, steps, calm, kind):
    with own_server.database("disturbed", template="empty"):
        trial = interruption.Trial(own_server, "disturbed", steps)
        trial.disturbed(calm, kind, random.Random(kind), STRIKES)
        assert interruption.differences(calm, trial) == []
        assert trial.struck > 0, "no strike came before the step was done: none was tested"
        print(kind, trial.struck, calm.spans)
