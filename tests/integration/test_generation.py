"""Text from decoders in the database: the client, streams as they come, seeds, cancels, masks, and what is refused."""

import json

import cli
import hartonomous
import numpy as np
import pytest
import state
import tiny_decoder
from hartonomous import errors, models
from hartonomous_server.inference import continuation, decoder_packing
from hartonomous_server.inference.decoder import Decoder
from hartonomous_server.inference.sampling import Options
from hartonomous_server.models.decoders import DecoderConfig
from hartonomous_server.models.tokenizer import Tokenizer

PROMPTS = ["the data", "a", "", "\u00e9\u6c34 x"]
DRAWN = {"max_tokens": 30, "temperature": 0.9, "top_k": 50, "top_p": 0.9, "repetition_penalty": 1.2, "seed": 11}
NAMES = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM"}


@pytest.fixture(scope="module", autouse=True)
def loaded(dsn, tmp_path_factory):
    """Both kinds, and one whose tokens take their time."""
    folder = tmp_path_factory.mktemp("models")
    with hartonomous.connect(dsn) as client:
        for model, name in NAMES.items():
            models.ingest(client, tiny_decoder.write(folder / model, name), model)
        wide = tiny_decoder.write(folder / "wide", "LlamaForCausalLM", intermediate_size=60_000,
                                  max_position_embeddings=100_000)  # fmt: skip
        models.ingest(client, wide, "wide")
        client.model_deploy("gpt2")


def engine(name, prompts, **options):
    """What the network gives without a server."""
    files = {"config": tiny_decoder.config(name)}
    config = DecoderConfig.parse(name, files)
    weights = tiny_decoder.tensors(tiny_decoder.shapes(name))
    network = Decoder(config, decoder_packing.pack(config, weights.__getitem__))
    tokens = Tokenizer.from_files({"tokenizer": tiny_decoder.tokenizer()}, files, name)
    checked = Options.parse(options)
    ids = [continuation.begin(config, tokens.encode_whole(prompt), checked.max_tokens) for prompt in prompts]
    texts = [""] * len(prompts)
    for piece in continuation.continued(network, tokens.decode, ids, checked, 1 << 30, lambda: None):
        texts[piece.prompt] += piece.text
    return texts


@pytest.mark.parametrize("model", NAMES)
def test_the_rows_give_what_the_weights_give(dsn, client, model):
    expected = engine(NAMES[model], PROMPTS, **DRAWN)
    assert len(set(expected)) == len(PROMPTS)
    assert client.generate_many(PROMPTS, model, **DRAWN) == expected
    with hartonomous.connect(dsn) as other:  # another process
        assert [other.generate(prompt, model, **DRAWN) for prompt in PROMPTS] == expected
        assert ["".join(other.generate_stream(prompt, model, **DRAWN)) for prompt in PROMPTS] == expected


def test_defaults_are_the_servers(client):
    greedy = {"max_tokens": 64, "temperature": 0, "top_k": 0, "top_p": 1, "repetition_penalty": 1}
    assert client.generate("the data") == engine("GPT2LMHeadModel", ["the data"], **greedy)[0]
    assert client.generate("the data", stop=["\n", client.generate("the data")[:1]]) == ""


def test_a_piece_comes_before_the_rest_is_made(client):
    client.generate("a", "wide", max_tokens=1)  # loads the model
    client.connection.execute("set statement_timeout = '10s'")  # of a fetch; the whole text takes minutes
    pieces = client.generate_stream("a", "wide", max_tokens=50_000)
    assert next(pieces) and next(pieces)
    pieces.close()
    client.connection.execute("set statement_timeout = 0")


def test_a_request_is_recorded_with_the_first_piece(client):
    pieces = client.generate_stream("the data", max_tokens=20)
    first = next(pieces)
    last = "select tokens, parameters ->> 'finish' from hartonomous.inference_request order by created_at desc limit 1"
    tokens, finish = client.query(last).fetchone()
    assert first and finish == "[null]"
    rest = list(pieces)
    assert len(rest) > 5 and first + "".join(rest) == client.generate("the data", max_tokens=20)


def test_a_stream_that_is_not_read_to_its_end(client, connection):
    before = state.contents(connection)
    pieces = client.generate_stream("the data", max_tokens=80)
    next(pieces)
    pieces.close()  # ends its transaction
    assert state.contents(connection) == before
    assert client.generate("a")


def test_statement_timeout(client, connection):
    client.generate("a", "wide", max_tokens=1)  # loads the model
    before = state.contents(connection)
    client.connection.execute("set statement_timeout = '300ms'")
    for call in (
        lambda: client.generate("a", "wide", max_tokens=50_000),
        lambda: client.generate_many(["a"] * 50, "wide", max_tokens=20_000),
        lambda: client.generate(" the data" * 40_000, "wide"),
        lambda: client.query("select hartonomous.generate_stream('a', 'wide', 50000)").fetchall(),
    ):
        with pytest.raises(errors.Error) as raised:
            call()
        assert raised.value.sqlstate == "57014"
    client.connection.execute("set statement_timeout = 0")
    assert state.contents(connection) == before
    assert client.generate("a", "wide", max_tokens=2)


def test_a_model_is_dropped_while_another_session_runs_it(dsn, client, tmp_path):
    models.ingest(client, tiny_decoder.write(tmp_path / "gone", seed=5), "gone")
    expected = client.generate("the data", "gone")
    with hartonomous.connect(dsn) as other:
        pieces = other.generate_stream("the data", "gone")
        text = next(pieces)
        client.model_drop("gone")
        assert text + "".join(pieces) == expected
        with pytest.raises(errors.ModelNotFound):
            other.generate("the data", "gone")


def test_a_masked_caller_gets_a_mask(client):
    policy = client.access_policy_put(1, "mask")
    try:
        assert client.generate("a") == "xxxx"
        assert client.generate_many(["a", "b"]) == ["xxxx", "xxxx"]
        assert list(client.generate_stream("the data")) == ["xxxx"]
    finally:
        client.access_policy_drop(policy)
    assert client.generate("a") != "xxxx"


def test_what_is_refused(client, connection):
    before = state.contents(connection)
    for error, call in (
        (errors.InvalidParameter, lambda: client.generate("a " * 1_000_000)),
        (errors.InvalidParameter, lambda: client.generate("x" * 90)),
        (errors.InvalidParameter, lambda: list(client.generate_stream("x", top_p=0))),
        (errors.ModelNotFound, lambda: list(client.generate_stream("x", "nosuch"))),
        (errors.ModelNotFound, lambda: client.embed("x", "gpt2")),
    ):
        with pytest.raises(error):
            call()
    client.query("set hartonomous.inference_memory = '100kB'")
    with pytest.raises(errors.MemoryExceeded, match="hartonomous.inference_memory") as raised:
        client.generate("a", "wide", max_tokens=10_000)
    assert raised.value.hint
    client.query("set hartonomous.inference_memory = 'much'")
    with pytest.raises(errors.Error, match="much"):
        client.generate("a")
    client.query("reset hartonomous.inference_memory")
    assert state.contents(connection) == before


@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_weights_that_give_no_prediction(client, tmp_path, value):
    folder = tiny_decoder.write(tmp_path / "broken", "LlamaForCausalLM")
    weights = tiny_decoder.tensors(tiny_decoder.shapes("LlamaForCausalLM"))
    weights["model.layers.1.mlp.down_proj.weight"] *= np.float32(value)
    tiny_decoder.tiny_model.save(folder / "model.safetensors", weights)
    try:
        models.ingest(client, folder, "broken")
    except errors.TensorMismatch as refused:
        assert np.isnan(value) and "finite" in refused.message
        return
    with pytest.raises(errors.PredictionInvalid, match="expected a finite number"):
        client.generate("the data", "broken")
    client.model_drop("broken")


def test_the_command_writes_as_the_model_does(dsn, client):
    text = client.generate("the data", max_tokens=12)
    shown = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
    assert cli.run(dsn, "generate", "the data", "--max-tokens", 12).stdout == f"{shown}\n"
    found = json.loads(cli.run(dsn, "generate", "the data", "--max-tokens", 12, "--json").stdout)
    assert found == {"prompt": "the data", "text": text}
    assert "top_p is 7" in cli.run(dsn, "generate", "the data", "--top-p", 7, code=1).stderr


@pytest.mark.parametrize(
    ("architecture", "changes", "text"),
    [
        ("GPT2LMHeadModel", {"n_head": 5}, "n_embd 32 is not a multiple of n_head 5"),
        ("LlamaForCausalLM", {"rope_scaling": {"rope_type": "yarn"}}, "rope_type yarn is not supported"),
        ("LlamaForCausalLM", {"vocab_size": 100}, "100"),
    ],
)
def test_configurations_that_no_engine_runs(client, connection, tmp_path, architecture, changes, text):
    folder = tiny_decoder.write(tmp_path / "bad", architecture)
    (folder / "config.json").write_text(json.dumps(tiny_decoder.config(architecture, **changes)))
    before = state.contents(connection)
    with pytest.raises(errors.Error) as raised:
        models.ingest(client, folder)
    assert text in raised.value.message
    assert state.contents(connection) == before
