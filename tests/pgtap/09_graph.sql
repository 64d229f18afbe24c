-- Room 09: nodes and edges of provenance.
begin;
\ir setup.psql
select plan(10);

select lives_ok(format($$select hartonomous._graph_node_put(%s, 'test', array[3, 1, 2, 1])$$, :ann));
select lives_ok(format($$select hartonomous._graph_node_put(%s, 'test', array[1, 4], array['{"late": 1}', '{"new": 1}']::jsonb[])$$, :ann));
select results_eq($$select node_id, detail from hartonomous.graph_node where node_type = 'test' order by node_id$$,
                  $$values (1::bigint, '{}'::jsonb), (2, '{}'), (3, '{}'), (4, '{"new": 1}')$$, 'nodes present stay as they are');
select lives_ok(format($$select hartonomous._graph_node_put(%s, 'test', null)$$, :ann), 'no nodes are fine');

select lives_ok(format($$select hartonomous._graph_edge_put(%s, 'test', array[1, 2, 1], 'MadeFrom', 'test', array[2, 3, 2])$$, :ann));
select lives_ok(format($$select hartonomous._graph_edge_put(%s, 'test', array[1], 'MadeFrom', 'test', array[2], array['{"x": 1}']::jsonb[])$$, :ann));
select results_eq($$select from_id, to_id, detail from hartonomous.graph_edge where from_type = 'test' order by from_id$$,
                  $$values (1::bigint, 2::bigint, '{}'::jsonb), (2, 3, '{}')$$, 'an edge stands once and stays as it is');
select throws_ok(format($$select hartonomous._graph_edge_put(%s, 'test', array[1, 2], 'MadeFrom', 'test', array[2])$$, :ann), '23502', null,
                 'ends come in pairs');

set local role bob;
select is_empty($$select * from hartonomous.graph_node where node_type = 'test'$$, 'another tenant sees no node');
select is_empty($$select * from hartonomous.graph_edge where from_type = 'test'$$, 'and no edge');
reset role;

select * from finish();
rollback;
