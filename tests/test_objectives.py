"""What tasks minimise and report, of scores that are given, against float64 NumPy: in training and in measuring.

B rows, T steps, V symbols.
"""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.tasks import caption, classify, elmo, mlm, parse, translate

B, T, V = 3, 4, 5
RANDOM = np.random.default_rng(0)
LOGITS = jnp.asarray(RANDOM.normal(size=(B, T, V)), jnp.float32)
MASK = jnp.arange(T) < jnp.array([[4], [2], [0]])
REAL = MASK.any(axis=1)
SHARES = np.asarray(LOGITS, np.float64) - np.log(np.exp(np.asarray(LOGITS, np.float64)).sum(-1, keepdims=True))
IDS = jnp.where(MASK, RANDOM.integers(V, size=(B, T)), SHARES.argmax(-1))  # what is padding would be right
NATS = -np.take_along_axis(SHARES, np.asarray(IDS)[..., None], -1)[..., 0]
RIGHT = SHARES.argmax(-1) == IDS


def smoothed(share):
    """Nats of targets of which a share is spread over all symbols."""
    return (1 - share) * NATS - share * SHARES.mean(-1)


def measured(goal, batch, train):
    """Sums, counts, and metrics as one dict of numbers; (sum, count) of a metric."""

    def run():
        sums, _, metrics = goal.terms(None, batch, None, None, train)
        return sums, goal.counts(batch), metrics

    sums, counts, metrics = jax.device_get(jax.jit(run)())
    assert sums.keys() == counts.keys() >= goal.weights.keys()
    found = {name: (float(total), float(counts[name])) for name, total in sums.items()}
    return found | {name: (float(total), float(count)) for name, (total, count) in metrics.items()}


def total(values, mask=MASK):
    """Over what is real: the sum, and how many."""
    return pytest.approx((np.asarray(values)[np.asarray(mask)].sum(), int(mask.sum())), rel=1e-5)


@pytest.mark.parametrize("task", ["translate", "caption"])
def test_of_pairs_smoothing_and_own_predictions_are_of_training_alone(task):
    asked, batch = [], {"targets": IDS, "mask": MASK}
    model = SimpleNamespace(logits=lambda params, batch, keys, sampled: (asked.append(sampled), LOGITS)[1])
    how = dataclasses.replace(translate.PRESETS["bahdanau"], label_smoothing=0.3, scheduled_sampling=0.25)
    if task == "translate":
        goal, plain = (translate.objective(model, dataclasses.replace(how, label_smoothing=s)) for s in (0.3, 0.0))
        report = translate.reporter({}, SimpleNamespace(kind="char"))
    else:
        (goal, plain), report = (caption.objective(model, share) for share in (0.3, 0.0)), caption.report
    (term,) = goal.weights
    found = measured(goal, batch, True)
    assert found == {term: total(smoothed(0.3)), "nats": total(NATS)}
    assert report(found, "train")["loss"] == pytest.approx(NATS[np.asarray(MASK)].mean())
    assert measured(plain, batch, True) == {term: total(NATS)}
    found = measured(goal, batch, False)
    assert found == {term: total(NATS), "accuracy": total(RIGHT)}
    row = report(found, "valid")
    assert (row["loss"], row["accuracy"]) == (found[term][0] / 6, found["accuracy"][0] / 6)
    assert row.get("bits_per_char", row["loss"] / np.log(2)) == pytest.approx(row["loss"] / np.log(2))
    assert asked == ([0.25, 0.25, 0.0] if task == "translate" else [0.0] * 3)


def test_of_classes_weights_and_smoothing_are_of_the_loss_alone():
    weights = np.array([1.1, 2.3, 0.6, 3.7, 1.9])
    model = SimpleNamespace(logits=lambda params, batch, keys: LOGITS[:, 0])
    how = dataclasses.replace(classify.PRESETS["bilstm"], label_smoothing=0.3)
    batch = {"label": IDS[:, 0].at[2].set(0), "real": REAL, "mask": MASK}  # 0: where nothing is likelier
    (term,) = (goal := classify.objective(model, how, weights)).weights
    own, metrics = weights[IDS[:, 0]], {"nats": total(NATS[:, 0], REAL), "accuracy": total(RIGHT[:, 0], REAL)}
    for train, share in ((True, 0.3), (False, 0.0)):
        wanted = (own * smoothed(share)[:, 0])[:2].sum(), own[:2].sum()
        assert measured(goal, batch, train) == {term: pytest.approx(wanted), "tokens": (0, 6)} | metrics
    found = measured(classify.objective(model, how), batch, True)
    assert found[term] == total(smoothed(0.3)[:, 0], REAL)
    assert classify.report(found, "train") == {"loss": found["nats"][0] / 2, "accuracy": found["accuracy"][0] / 2}


def test_of_trees_relations_that_were_never_seen_are_not_scored():
    model = SimpleNamespace(
        read=lambda params, batch, keys: SimpleNamespace(arcs=LOGITS),
        relate=lambda params, parsed, heads, mask: LOGITS[:, ::-1] + 0 * heads[..., None],
    )
    labels = IDS[:, ::-1].at[0, 1].set(-1)
    found = measured(parse.objective(model), {"heads": IDS, "labels": labels, "mask": MASK}, True)
    assert found == {
        "arcs": total(NATS),
        "labels": total(NATS[:, ::-1], MASK & (labels >= 0)),
        "accuracy": total(RIGHT),
    }
    row = parse.report(found, "valid")
    assert (row["arc_loss"], row["label_loss"]) == (found["arcs"][0] / 6, found["labels"][0] / 5)
    assert (row["loss"], row["accuracy"]) == (row["arc_loss"] + row["label_loss"], found["accuracy"][0] / 6)


def test_of_hidden_tokens_those_that_are_scored_count_and_the_second_term_has_its_weight():
    model = SimpleNamespace(
        read=lambda params, batch, keys: LOGITS,
        score=lambda params, ys: ys,
        relate=lambda params, ys, mask: ys[:, 0, :2],
    )
    places = jnp.array([[1, 3], [0, 1], [0, 0]])
    scored = jnp.array([[True, True], [True, False], [False, False]])
    batch = {"places": places, "targets": jnp.take_along_axis(IDS, places, 1), "scored": scored, "mask": MASK}
    batch |= {"elsewhere": jnp.array([0, 1, 0]), "real": REAL}
    pairs = np.asarray(LOGITS, np.float64)[:, 0, :2]
    related = np.log(np.exp(pairs).sum(-1)) - pairs[np.arange(B), batch["elsewhere"]]
    how = dataclasses.replace(mlm.PRESETS["bert"], nsp=True, nsp_weight=0.25)
    goal = mlm.objective(model, how)
    assert goal.weights == {"mlm": 1.0, "nsp": 0.25}
    found, hidden = measured(goal, batch, False), total(np.take_along_axis(NATS, places, 1), scored)
    assert found == {
        "mlm": hidden, "nsp": total(related, REAL), "read": (0, 6),
        "accuracy": total(np.take_along_axis(RIGHT, places, 1), scored),
        "nsp_accuracy": total(pairs.argmax(-1) == batch["elsewhere"], REAL),
    }  # fmt: skip
    row = mlm.reporter({}, None)(found, "valid")
    assert row["loss"] == found["mlm"][0] / 3
    assert row["nsp_loss"] == found["nsp"][0] / 2
    alone = mlm.objective(model, dataclasses.replace(how, nsp=False))
    assert measured(alone, batch, False).keys() == {"mlm", "accuracy", "read"}


def test_of_both_directions_each_counts_half_and_the_ends_of_sentences_too():
    longer = jnp.concatenate([REAL[:, None], MASK[:, :-1]], axis=1)
    sides = {"forward": (LOGITS, IDS, longer), "backward": (LOGITS[:, ::-1], IDS[:, ::-1], longer[:, ::-1])}
    goal = elmo.objective(SimpleNamespace(predict=lambda params, batch, keys: sides))
    assert goal.weights == {"forward": 0.5, "backward": 0.5}
    found = measured(goal, {"mask": MASK[:, :-1]}, True)
    assert found == dict.fromkeys(sides, total(NATS, longer))
    row = elmo.reporter({}, None)(found | {"backward": (2.0, found["forward"][1])}, "train")
    assert row["loss"] == pytest.approx((found["forward"][0] + 2) / 2 / found["forward"][1])
    assert row["backward_perplexity"] == pytest.approx(np.exp(2 / found["forward"][1]))
