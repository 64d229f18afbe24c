"""Heads on stored embeddings: training, versions, predictions, evaluation sets, comparison of models."""

import hartonomous
import numpy as np
import pytest
import tiny_model
from hartonomous import errors, models
from sessions import together

WORDS = {"animals": "cat dog bird fox cow", "numbers": "one two three four five", "letters": "aaa bbb ccc ddd eee"}


@pytest.fixture(scope="module")
def filled(dsn, tmp_path_factory):
    """Texts of three labels, embedded by two models: ids and labels."""
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    with hartonomous.connect(dsn) as client:
        for seed in range(2):
            models.ingest(client, tiny_model.write(folder / str(seed), seed=seed), f"m{seed}")
        ids, labels = [], []
        for label, words in WORDS.items():
            for number in range(30):
                text = " ".join(random.choice(words.split(), 6))
                ids.append(client.ingest_text(f"{text} {chr(97 + number % 26)}", f"{label}/{number}"))
                labels.append(label)
        for seed in range(2):
            client.embed_artifacts(ids, f"m{seed}")
    return ids, labels


@pytest.fixture
def head(client, filled, request):
    name = request.node.name.partition("[")[0]
    client.model_train_head(name, *filled, model="m0")
    return name


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_a_head_predicts(client, filled, method):
    trained = client.model_train_head(f"by-{method}", *filled, model="m0", method=method)
    assert (trained.version, trained.rows) == ("1", 90) and trained.quality["rows"] == 18
    assert trained.quality["accuracy"] > trained.quality["majority"] + 0.2
    found = client.predict("cat dog cow fox bird cat", f"by-{method}")
    assert [row.label for row in found][0] == "animals" and len(found) == 3
    assert abs(sum(row.probability for row in found) - 1) < 1e-6
    assert [row.probability for row in found] == sorted((row.probability for row in found), reverse=True)
    many = client.predict_many(["one two two four", "cat fox cat cow"], f"by-{method}")
    assert [(row.item, row.label) for row in many] == [(1, "numbers"), (2, "animals")]
    alone = client.predict("cat fox cat cow", f"by-{method}")[0]
    assert alone.probability == many[1].probability, "whatever it came with"


def test_its_weights_are_tensors_like_others(client, head, tmp_path):
    weight, bias = client.tensor(head, "classifier.weight"), client.tensor(head, "classifier.bias")
    assert weight.shape == (3, tiny_model.HIDDEN) and bias.shape == (3,)
    labels = client.model_files(head)["config"]["labels"]
    scores = weight @ client.embed("one four", "m0") + bias
    probabilities = np.exp(scores - scores.max())
    probabilities /= probabilities.sum()
    found = {row.label: row.probability for row in client.predict("one four", head)}
    assert np.allclose([found[label] for label in labels], probabilities, atol=1e-5)
    assert models.export(client, head, tmp_path / "head.safetensors").tensors == 2


def test_a_prediction_is_recorded(client, connection, head):
    count = "select count(*) from hartonomous.inference_request as r join hartonomous.model as m"
    count += " on (m.model_id, m.state_hash) = (r.model_id, r.state_hash) where r.operation = 'predict' and m.name = %s"
    client.predict("one", head)
    assert connection.execute(count, [head]).fetchone() == (1,)
    assert client.predict(None, head) == [] and client.predict_many([], head) == []
    assert connection.execute(count, [head]).fetchone() == (1,)


def test_retraining_is_a_version_that_knows_all_rows(client, connection, filled, head):
    before = client.predict("one two", f"{head}@1")
    new = [client.ingest_text(f"zz yy xx {chr(97 + n)} zz", f"new/{n}") for n in range(12)]
    client.embed_artifacts(new, "m0")
    trained = client.model_retrain(head, [*new, filled[0][0]], ["ends"] * 12 + ["numbers"])
    assert (trained.version, trained.rows) == ("2", 102)
    assert client.predict("zz yy xx zz zz", f"{head}@2")[0].label == "ends"
    assert client.predict("one two", f"{head}@1") == before, "the version before stays"
    row = "select label from hartonomous.training_row where model_id = %s and artifact_id = %s"
    assert connection.execute(row, [trained.model_id, filled[0][0]]).fetchone() == ("numbers",)
    whole = client.model_train_head(
        f"{head}-whole", [*filled[0], *new], ["numbers", *filled[1][1:], *["ends"] * 12], model="m0",
        penalty=client.model_files(f"{head}@2")["config"]["fitted_penalty"],
    )  # fmt: skip
    again, cold = (
        {row.label: row.probability for row in client.predict("four five zz", name)}
        for name in (f"{head}@2", f"{head}-whole")
    )
    assert whole.rows == 102 and all(abs(again[label] - cold[label]) < 0.05 for label in cold)


def test_sessions_that_retrain_at_once_get_versions_each(dsn, client, filled, head):
    found = together(dsn, [lambda session: session.model_retrain(f"{head}@1", *filled) for _ in range(3)])
    assert sorted(row.version for row in found) == ["2", "3", "4"]


def test_a_deployed_head_answers(client, filled, head):
    client.model_deploy(head)
    assert client.predict("one two") == client.predict("one two", head)
    ids, labels = filled
    client.model_retrain(head, ids, [*labels[30:], *labels[:30]])
    assert client.predict("one two") == client.predict("one two", f"{head}@1"), "until the new one is deployed"
    client.model_deploy(f"{head}@2", 0.5)
    answers = {n: client.predict(f"one {n}") for n in range(24)}
    second = [n for n, found in answers.items() if found == client.predict(f"one {n}", f"{head}@2")]
    assert 3 <= len(second) <= 21
    assert client.model_rollback("classification") == f"{head}@1"


def test_what_a_head_is_fitted_to_is_kept(client, filled, head):
    with pytest.raises(errors.Error, match="embeddings that heads are fitted to|embeddings that are stored"):
        client.model_drop("m0")
    client.model_drop(head)
    with pytest.raises(errors.ModelNotFound):
        client.predict("x", head)


def test_bad_input(client, filled, head):
    ids, labels = filled
    unembedded = client.ingest_text("never embedded")
    for error, text, call in [
        (errors.ModelExists, "exists already", lambda: client.model_train_head(head, ids, labels)),
        (errors.InvalidParameter, "without @", lambda: client.model_train_head("a@b", ids, labels)),
        (errors.InvalidParameter, "method is 'tree'", lambda: client.model_train_head("x", ids, labels, method="tree")),
        (errors.InvalidParameter, "penalty is 0", lambda: client.model_train_head("x", ids, labels, penalty=0)),
        (errors.InvalidParameter, "penalty is NaN", lambda: client.model_train_head("x", ids, labels, penalty=np.nan)),
        (errors.InvalidParameter, "90 artifacts have 1", lambda: client.model_train_head("x", ids, ["a"])),
        (errors.InvalidParameter, "1 different label", lambda: client.model_train_head("x", ids, ["a"] * 90, "m0")),
        (errors.InvalidParameter, "0 different labels", lambda: client.model_train_head("x", [], [], "m0")),
        (errors.InvalidParameter, "has different", lambda: client.model_train_head("x", [ids[0]] * 2, ["a", "b"])),
        (errors.InvalidParameter, "label is empty", lambda: client.model_train_head("x", ids[:1], [""])),
        (errors.InvalidParameter, "no embedding", lambda: client.model_train_head("x", [unembedded], ["a"], "m0")),
        (errors.ArtifactNotFound, "no artifact -1", lambda: client.model_train_head("x", [-1], ["a"])),
        (errors.ModelNotFound, "no embedding model", lambda: client.model_train_head("x", ids, labels, model=head)),
        (errors.ModelNotFound, "no classification model", lambda: client.model_retrain("m0", ids, labels)),
        (errors.ModelNotFound, "no classification model", lambda: client.predict("x", "m0")),
        (errors.TokenizerInvalid, "no tokenizer", lambda: client.tokenize("x", head)),
        (errors.ModelNotFound, "no embedding model", lambda: client.embed("x", head)),
        (errors.EvaluationNotFound, "no evaluation set", lambda: client.model_validate("m0", "m1", "nosuch")),
        (errors.EvaluationNotFound, "no evaluation set", lambda: client.evaluation_drop("nosuch")),
        (errors.InvalidParameter, "kind is 'x'", lambda: client.evaluation_put("e", "x", ["a"])),
        (errors.InvalidParameter, "no items", lambda: client.evaluation_put("e", "text", [])),
        (errors.InvalidParameter, "1 inputs have 2", lambda: client.evaluation_put("e", "retrieval", ["a"], ["b"] * 2)),
        (errors.InvalidParameter, "1 inputs have 0", lambda: client.evaluation_put("e", "retrieval", ["a"])),
        (errors.InvalidParameter, "no expected", lambda: client.evaluation_put("e", "text", ["a"], ["b"])),
    ]:  # fmt: skip
        with pytest.raises(error, match=text):
            call()
    assert not [model for model in client.model_list() if model.name == "x" or model.status == "loading"]


def test_models_on_questions(client, filled):
    """m0 against itself: no difference; against m1: the means that search_vector gives."""
    questions = {f"{words.split()[0]} {words.split()[1]}": label for label, words in WORDS.items()}
    inputs = [text for text in questions for _ in range(30)]
    expected = [f"{label}/{number}" for label in questions.values() for number in range(30)]
    assert client.evaluation_put("questions", "retrieval", inputs, expected) == 90
    same = client.model_validate("m0", "m0", "questions")
    assert (same["items"], same["k"]) == (3, 5) and same["artifacts"] >= 90
    assert all(m["difference"] == 0 and m["better"] is None for m in same["metrics"].values())
    found = client.model_validate("m0", "m1", "questions", k=3)
    assert found["artifacts"] == 90, "those that both models have embedded"
    assert found == client.model_validate("m0", "m1", "questions", k=3), "seeded"
    for side in ("a", "b"):
        name = found[side]["model"]
        hits = []
        for text, label in questions.items():
            rows = client.search_vector(client.embed(text, name), 3, name)
            hits.append(any(row.source_uri.startswith(label) for row in rows))
        assert found["metrics"]["hit@3"][side] == pytest.approx(np.mean(hits))
    flipped = client.model_validate("m1", "m0", "questions", k=3)["metrics"]["ndcg@3"]
    metric = found["metrics"]["ndcg@3"]
    assert flipped["difference"] == pytest.approx(-metric["difference"])
    client.evaluation_put("questions", "retrieval", ["x"], ["nowhere"])
    with pytest.raises(errors.InvalidParameter, match="1 of 1 sources that no artifact has, such as nowhere"):
        client.model_validate("m0", "m1", "questions")
    client.evaluation_drop("questions")


def test_heads_on_labelled_texts(client, filled, head):
    ids, labels = filled
    client.model_train_head("nonsense", ids, [*labels[45:], *labels[:45]], model="m0", penalty=1e-3)
    texts = [text for words in WORDS.values() for text in (words, words[::-1], words * 2)] * 5
    expected = [label for label in WORDS for _ in range(3)] * 5
    client.evaluation_put("labelled", "classification", texts, expected)
    found = client.model_validate("nonsense", head, "labelled")["metrics"]
    right = [client.predict(text, head)[0].label == label for text, label in zip(texts[:9], expected[:9], strict=True)]
    assert found["accuracy"]["b"] == pytest.approx(np.mean(right))
    assert found["accuracy"]["better"] == found["log_loss"]["better"] == "b"
    low, high = found["accuracy"]["interval"]
    assert 0 < low <= found["accuracy"]["difference"] <= high
    assert ("labelled", 45) in {(row.name, row.items) for row in client.evaluation_list()}
    client.evaluation_put("texts", "text", ["a text"])
    with pytest.raises(errors.ModelNotFound, match="no generation model"):
        client.model_validate("m0", "m1", "texts")
