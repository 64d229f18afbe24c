"""Many tenants against the model as long as one likes: HARTONOMOUS_SOAK_ROUNDS worlds from HARTONOMOUS_SOAK_SEED on."""

import os

import pytest
import visibility
from visibility_world import World

FIRST = int(os.environ.get("HARTONOMOUS_SOAK_SEED", "1"))
ROUNDS = int(os.environ.get("HARTONOMOUS_SOAK_ROUNDS", "20"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_every_answer_is_the_models(server, template, seed):
    name = f"soak_{os.getpid()}_{seed}"
    with server.database(name, template=template) as dsn:
        world = World(dsn, name, tenants=100, seed=seed)
        for number in range(10):
            visibility.play(world, number, sessions=16, turns=4, steps=20)
        world.close()
        assert world.differences == []
        print(f" seed {seed}: {world.calls} calls, {world.answers} answers compared")
