"""Interruptions for as long as one likes: HARTONOMOUS_SOAK_ROUNDS rounds, the first by HARTONOMOUS_SOAK_SEED."""

import os
import random

import interruption
import pytest
from cluster import OwnServer

FIRST = int(os.environ.get("HARTONOMOUS_SOAK_SEED", "1"))
ROUNDS = int(os.environ.get("HARTONOMOUS_SOAK_ROUNDS", "20"))


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    with OwnServer(tmp_path_factory.mktemp("server")) as server:
        server.create("empty", extension=True)
        yield server


@pytest.fixture(scope="module")
def calm(own_server, tmp_path_factory):
    with own_server.database("calm", template="empty"):
        return interruption.Trial(
            own_server, "calm", interruption.steps(tmp_path_factory.mktemp("steps"))
        ).undisturbed()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_ends_as_undisturbed(own_server, calm, seed):
    chance = random.Random(seed)
    with own_server.database("disturbed", template="empty"):
        trial = interruption.Trial(own_server, "disturbed", calm.steps)
        trial.disturbed(calm, chance.choice(list(interruption.KINDS)), chance, strikes=chance.randint(1, 5))
        assert interruption.differences(calm, trial) == []
