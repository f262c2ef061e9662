"""BERT: the same numbers as the transformers library with the same weights; masks, pairs of texts, and their laws."""

import functools

import jax
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.interop.bert import bert_parameters
from seqjax.models.bert import BertConfig, at, bert

SWIFT = {"xla_backend_optimization_level": 0}
V, LONGEST = 13, 12
SHAPE = BertConfig(features=8, layers=2, heads=2, hidden=12, dropout=0.0)


@functools.cache
def theirs():
    """A tiny random BERT of the transformers library, its weights, and what they give here."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=V, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=LONGEST, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = transformers.BertForPreTraining(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model, {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def rows() -> dict[str, np.ndarray]:
    """Three rows of two texts, the last shorter."""
    random = np.random.default_rng(1)
    mask = np.arange(9) < np.array([[9], [7], [3]])
    segments = (np.arange(9) > np.array([[4], [3], [1]])) & mask
    return {"tokens": random.integers(1, V, size=(3, 9)), "mask": mask, "segments": segments.astype(np.int32)}


def test_the_numbers_are_those_of_the_transformers_library():
    torch = pytest.importorskip("torch")

    model, arrays = theirs()
    batch = rows()
    given = {"input_ids": "tokens", "attention_mask": "mask", "token_type_ids": "segments"}
    with torch.no_grad():
        wanted = model(
            **{their: torch.tensor(batch[own]).long() for their, own in given.items()}, output_hidden_states=True
        )  # fmt: skip
    ours = bert(SHAPE, V, LONGEST)

    def read(params, batch):
        ys = ours.read(params, batch)
        return ys, ours.score(params, ys), ours.relate(params, ys, batch["mask"])

    params = jax.tree.map(np.asarray, bert_parameters(arrays))
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, jax.eval_shape(ours.init, jax.random.key(0)))
    ys, scores, relation = jax.jit(read, compiler_options=SWIFT)(params, batch)
    real = batch["mask"]
    np.testing.assert_allclose(np.asarray(ys)[real], wanted.hidden_states[-1].numpy()[real], atol=1e-5)
    np.testing.assert_allclose(np.asarray(scores)[real], wanted.prediction_logits.numpy()[real], atol=1e-5)
    np.testing.assert_allclose(relation, wanted.seq_relationship_logits.numpy(), atol=1e-5)


def test_weights_of_an_encoder_alone_have_no_heads():
    _, arrays = theirs()
    inside = {name.removeprefix("bert."): array for name, array in arrays.items() if name.startswith("bert.")}
    alone = bert_parameters(inside)
    assert set(alone) == {"bert"}
    np.testing.assert_array_equal(alone["bert"]["pooler"]["kernel"], arrays["bert.pooler.dense.weight"].T)
    broken = {name: array for name, array in inside.items() if ".layer.0." not in name}
    with pytest.raises(InputError, match=r"numbered from 0 on, but they are \[1\]"):
        bert_parameters(broken)
    with pytest.raises(InputError, match=r"layer\.1\.output\.LayerNorm\.bias` is missing"):
        bert_parameters({n: a for n, a in inside.items() if n != "encoder.layer.1.output.LayerNorm.bias"})


def test_places_are_those_of_each_row():
    ys = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(at(ys, np.array([[2, 0], [1, 1]])), [[ys[0, 2], ys[0, 0]], [ys[1, 1], ys[1, 1]]])
