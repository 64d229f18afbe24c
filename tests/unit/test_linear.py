"""Linear heads and comparisons, without a server."""

import numpy as np
import pytest
from hartonomous_server import errors
from hartonomous_server.evaluation import comparison, linear
from hartonomous_server.evaluation.comparison import each


def nothing():
    pass


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    centres = random.standard_normal((3, 20))
    y = random.integers(3, size=600)
    return (centres[y] + 1.5 * random.standard_normal((600, 20))).astype(np.float32), y


def loss(head, x, y, penalty):
    data = -np.mean(head.log_probabilities(x)[np.arange(len(y)), y])
    return data + penalty / 2 * np.sum(head.weight.astype(float) ** 2)


def test_logistic_is_at_the_minimum(rows):
    x, y = rows
    head = linear.fit(x, y, 3, "logistic", 1e-2, None, nothing)
    least = loss(head, x, y, 1e-2)
    random = np.random.default_rng(1)
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(20):
            step = random.standard_normal(head.weight.shape).astype(np.float32)
            moved = linear.Head(head.weight + size * step / np.linalg.norm(step), head.bias)
            assert loss(moved, x, y, 1e-2) > least - 1e-7
    log_p = head.log_probabilities(x)
    gradient = (np.exp(log_p) - np.eye(3)[y]).T @ x / len(y) + 1e-2 * head.weight
    assert np.abs(gradient).max() < 1e-4


def test_beginning_elsewhere_ends_at_the_same_head(rows):
    x, y = rows
    cold = linear.fit(x, y, 3, "logistic", 1e-2, None, nothing)
    start = linear.Head(np.ones((3, 20), np.float32), np.ones(3, np.float32))
    warm = linear.fit(x, y, 3, "logistic", 1e-2, start, nothing)
    assert np.abs(warm.log_probabilities(x) - cold.log_probabilities(x)).max() < 1e-2


def test_ridge_is_least_squares(rows):
    x, y = rows
    head = linear.fit(x, y, 3, "ridge", 1e-2, None, nothing)
    centred = x - x.mean(axis=0)
    target = np.eye(3)[y] - np.eye(3)[y].mean(axis=0)
    expected = np.linalg.solve(centred.T @ centred / len(y) + 1e-2 * np.eye(20), centred.T @ target / len(y)).T
    scale = np.sum(head.weight * expected) / np.sum(expected**2)
    assert np.allclose(head.weight, scale * expected, atol=1e-3 * scale)
    assert scale > 1, "probabilities need a steeper scale than shares"


@pytest.mark.parametrize("method", linear.METHODS)
def test_quality_is_of_rows_held_out(rows, method):
    x, y = rows
    random = np.random.default_rng(2)
    _, _, quality = linear.train(x, y, 3, method, None, None, nothing)
    assert quality.accuracy > quality.majority + 0.3 and quality.log_loss < 0.8
    noise = random.standard_normal((300, 200)).astype(np.float32)  # can be learnt by heart, and by nothing else
    _, _, quality = linear.train(noise, random.integers(2, size=300), 2, method, 1e-6, None, nothing)
    assert quality.accuracy < 0.7


def test_what_no_head_can_be_fitted_to():
    for labels in (["a", "a"], [], ["a", "b", "c"]):
        with pytest.raises(errors.InvalidParameter, match="labels"):
            linear.checked(labels)


def test_a_cancel_comes_out_of_fitting(rows):
    def cancelled():
        raise InterruptedError

    for method in linear.METHODS:
        with pytest.raises(InterruptedError):
            linear.fit(*rows, 3, method, 1e-3, None, cancelled)


def test_hits_and_gains():
    found = comparison.retrieval([[-1, 0, 0, 1], [-1, -1], [0]], [2, 1, 1], 3)
    assert found["hit@3"].sums.tolist() == [1, 0, 1]
    ideal = 1 + 1 / np.log2(3)
    gained = [1 / np.log2(3) / ideal, 0, 1]
    assert np.allclose(found["ndcg@3"].sums, gained), "a second passage of one source gains nothing"


def test_labels_that_a_head_does_not_know_are_wrong():
    log_p = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]))
    found = comparison.classification(log_p, np.array([0, -1, 0]))
    assert found["accuracy"].sums.tolist() == [1, 0, 0]
    assert np.allclose(found["log_loss"].sums, [-np.log(0.9), -np.log(1e-15), -np.log(0.2)])


def test_the_interval_covers_the_true_difference():
    """Of 200 made-up comparisons some 190 should; and the same seed gives the same interval."""
    random = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        a = random.random(80) < 0.6
        b = np.where(random.random(80) < 0.7, a, random.random(80) < 0.8)  # true difference 0.06
        found = comparison.compare({"m": each(a * 1.0)}, {"m": each(b * 1.0)}, 200, trial, nothing)["m"]
        covered += found["interval"][0] <= 0.06 <= found["interval"][1]
    assert 175 <= covered <= 199
    again = comparison.compare({"m": each(a * 1.0)}, {"m": each(b * 1.0)}, 200, trial, nothing)["m"]
    assert again == found


def test_better_says_which_way():
    zeros, ones = each(np.zeros(50)), each(np.ones(50))

    def compared(name, a, b):
        return comparison.compare({name: a}, {name: b}, 100, 0, nothing)[name]

    same = compared("accuracy", zeros, zeros)
    assert same["better"] is None and same["interval"] == [0, 0]
    assert compared("accuracy", zeros, ones)["better"] == "b"
    assert compared("log_loss", zeros, ones)["better"] == "a"


def test_perplexity_is_of_all_tokens_and_bits_are_of_all_bytes():
    """A long text counts as much as its tokens, in the means and in what is drawn."""
    found = comparison.likelihood(np.log([2.0, 8.0]) * [1, 3], np.array([1, 3]), np.array([2, 4]))
    assert found["perplexity"].mean() == pytest.approx(2 ** (10 / 4))
    assert found["bits_per_byte"].mean() == pytest.approx(10 / 6)
    assert found["perplexity"].mean(np.array([1, 1])) == pytest.approx(8)
    worse = comparison.likelihood(np.log([4.0, 16.0]) * [1, 3], np.array([1, 3]), np.array([2, 4]))
    result = comparison.compare(found, worse, 100, 0, nothing)
    assert {metric["better"] for metric in result.values()} == {"a"}
    assert result["perplexity"]["interval"][0] >= 2 and result["perplexity"]["interval"][1] <= 8
