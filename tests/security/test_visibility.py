"""Many tenants at once, each answer compared with a model of who may see what; a wall taken down is noticed."""

import os

import pytest
import visibility
from visibility_world import World

TENANTS = 100


@pytest.fixture
def world(server, template, request):
    """A database and its tenants; they go at the end."""
    name = f"seen_{os.getpid()}_{abs(hash(request.node.name)) % 10000}"
    with server.database(name, template=template) as dsn:
        world = World(dsn, name, getattr(request, "param", TENANTS), seed=1)
        yield world
        world.close()


def test_every_answer_is_the_models(world):
    for number in range(2):
        visibility.play(world, number, sessions=16, turns=4, steps=12)
    assert world.differences == []
    assert world.calls == 2 * 16 * 4 * 12


FUNCTION = """
do $$
declare
    body text := pg_get_functiondef({function}::regprocedure);
begin
    if position({wall} in body) = 0 then raise 'the wall is not there'; end if;
    execute replace(body, {wall}, {gap});
end $$"""
WEAKENED = {
    "content": ("hartonomous._artifact_root(int, bigint)", "a.tenant_id in (0, _artifact_root.tenant_id)", "true"),
    "artifact_show": ("hartonomous.artifact_show(bigint[])", "a.tenant_id in (0, tenant)", "true"),
    "artifact_delete": ("hartonomous.artifact_delete(bigint)", "a.tenant_id = tenant", "true"),
    "ingest": ("hartonomous._permit(text, bigint)", "needed = any (context.scopes)", "true"),
    "another tenant's key": ("hartonomous._context_bind(int, bigint, text[])", "<> tenant_id then", "< -1 then"),
}
TABLES = ["artifact", "graph_edge", "tenant_role"]


@pytest.mark.parametrize("world", [12], indirect=True)
@pytest.mark.parametrize("what", WEAKENED)
def test_a_verb_without_its_wall_is_noticed(world, what):
    function, wall, gap = ("'" + part.replace("'", "''") + "'" for part in WEAKENED[what])
    world.admin.execute(FUNCTION.format(function=function, wall=wall, gap=gap))
    noticed(world, what)


@pytest.mark.parametrize("world", [12], indirect=True)
@pytest.mark.parametrize("table", TABLES)
def test_a_table_without_its_policy_is_noticed(world, table):
    world.admin.execute(f"alter policy tenant_read on hartonomous.{table} using (true)")
    noticed(world, f"rows of {table}")


def noticed(world, what):
    for number in range(20):
        visibility.play(world, number, sessions=4, turns=2, steps=20)
        if any(f": {what}: expected" in difference for difference in world.differences):
            return
    raise AssertionError(f"nobody noticed; differences: {world.differences[:5]}")
