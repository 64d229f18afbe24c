"""Snapshots of versioned coefficients that four sessions change are read again as they were."""

import psycopg
import pytest
from histories import Histories


@pytest.fixture
def world(dsn):
    made = Histories(dsn, seed=1, histories=60)
    yield made
    made.clear()


def test_every_snapshot_can_be_read_again(world):
    world.run()
    assert world.differences() == []
    assert world.done["compared"] > 100 and world.done["conflicts"] and world.done["rolled back"]


def test_a_version_that_is_lost_is_found(world, dsn):
    """A history that lacks one version gives some snapshot otherwise."""
    world.run()
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("delete from hartonomous.tensor_atom_coefficient_history where sys_end % 3 = 0")
    assert world.differences()
