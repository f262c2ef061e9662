"""The files of a BERT become a run: it reads text as there, fills in masks, and others start from it."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bert_files import CONFIG, LONGEST, SPECIAL, D, V, random_arrays, word_pieces, write_files
from command_line import assert_refused, seqjax, story, training
from safetensors.numpy import save_file

from seqjax.checks import InputError
from seqjax.data.adopted_wordpiece import adopt_wordpiece
from seqjax.interop.bert import bert_parameters
from seqjax.tasks.session import best_of, open_existing, trained

LINES = ["The cat sat on the mat.", "On  the mat,\tthe 27 QUEENS é didn't zzz #x!", "a" * 100, "a" * 101, ""]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """The folder of a BERT."""
    folder = tmp_path_factory.mktemp("files") / "bert"
    write_files(folder)
    return folder


@pytest.fixture(scope="module")
def run(files, tmp_path_factory) -> Path:
    """The run that it becomes."""
    out = tmp_path_factory.mktemp("runs") / "bert"
    said = seqjax("import", files, "--out", out)
    assert said.code == 0, said
    assert "BERT of 2 × 12, 32 positions, lower case; fills in [MASK]; 77 symbols" in said.out
    return out


def test_text_is_cut_as_there(files):
    tokenizer, ids, lower = adopt_wordpiece(files)
    library = word_pieces()
    assert lower
    assert tokenizer.pieces([0, 1]) == ["<doc>", "<unk>"]
    assert [library.id_to_token(int(symbol)) for symbol in ids[[0, 1, -3, -2, -1]]] == SPECIAL
    assert sorted(ids) == list(range(library.get_vocab_size()))
    for line in [*LINES, story(5), "Übermut der K\u00f6nige, 中文 ##a a_b ## #"]:
        np.testing.assert_array_equal(ids[tokenizer.encode(line)], library.encode(line, add_special_tokens=False).ids)
    assert tokenizer.decode(tokenizer.encode("The aaa sat.")) == " the aaa sat ."
    forged = tokenizer.encode("a [MASK] [SEP] b")
    assert max(forged) < tokenizer.size  # text cannot hold special symbols
    with pytest.raises(InputError, match="never did: 'ж'"):
        tokenizer.encode("É ж", strict=True)


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_list_of_pieces_is_the_same(tmp_path, lowercase):
    library = word_pieces(lowercase=lowercase)
    names = sorted(library.get_vocab(), key=library.token_to_id)
    (tmp_path / "vocab.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    if not lowercase:
        (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false, "strip_accents": null}')
    found = adopt_wordpiece(tmp_path)
    assert found.lower == lowercase
    for line in LINES:
        wanted = library.encode(line, add_special_tokens=False).ids
        np.testing.assert_array_equal(found.ids[found.tokenizer.encode(line)], wanted)


def test_a_run_of_it_fills_in_and_is_evaluated(run, tmp_path):
    said = seqjax("predict", run, "--n-best", "3", stdin="The [MASK] sat on Thé mat.\nthe q[MASK]\n")
    assert said.code == 0, said
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "1", "2", "2", "2"]
    assert all(row[2].endswith(" sat on Thé mat.") for row in rows[:3])
    assert all(row[2].startswith("the q") and " " not in row[2][5:] for row in rows[3:])
    (tmp_path / "story.txt").write_text(story(60))
    said = seqjax("evaluate", run, "--data.path", tmp_path / "story.txt", "--json")
    assert json.loads(said.out)["nsp_loss"] > 0
    assert "verified" in seqjax("inspect", run).out.partition("checkpoints")[2]


def test_files_of_2018_and_files_without_heads_are_read(files, tmp_path):
    arrays = random_arrays()
    older = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in arrays.items()
    }
    assert older.keys() != arrays.keys()
    assert_same(bert_parameters(older), bert_parameters(arrays))
    plain = {name.removeprefix("bert."): array for name, array in random_arrays(heads=False).items()}
    folder = shutil.copytree(files, tmp_path / "files")
    save_file(plain, folder / "model.safetensors")
    said = seqjax("import", folder, "--out", tmp_path / "run")
    assert "predict makes nothing of sense" in said.out
    assert "[MASK]" not in said.out
    found = best_of(open_existing(tmp_path / "run"))[0]
    assert found["transform"]["kernel"].shape == (D, D)
    assert found["bert"].keys() == {"tokens", "positions", "segments", "norm", "deep", "pooler"}
    np.testing.assert_array_equal(found["bert"]["positions"]["table"], plain["embeddings.position_embeddings.weight"])


def test_a_tagger_starts_from_it(run, tmp_path):
    text = "\n".join("".join(f"{word} O\n" for word in line.split()) for line in story(60).splitlines())
    (tmp_path / "tags.conll").write_text(text.replace("cat O", "cat B-BEAST"))
    said = training(
        "tag", "bert", "--out", tmp_path / "new", "--pretrained.run", run, "--pretrained.no-tuned", "--data.path",
        tmp_path / "tags.conll", "--data.buckets", 1, "--model.no-crf", "--batch-size", 8, "--shown", 0,
        "--steps", 2, "--evaluate-every", 2,
    )  # fmt: skip
    assert said.code == 0, said.err
    after, before = (best_of(open_existing(path))[0] for path in (tmp_path / "new", run))
    assert_same(after["encoder"]["bert"]["frozen"], before["bert"])
    assert seqjax("predict", tmp_path / "new", stdin="The CAT sat\n").code == 0


def test_it_is_trained_on_with_other_text_and_is_not_needed_again(run, tmp_path):
    source = shutil.copytree(run, tmp_path / "source")
    text, out = tmp_path / "story.txt", tmp_path / "tuned"
    text.write_text(story(80))
    command = [
        "mlm", "--config", source / "config.json", "--pretrained.run", source, "--out", out, "--data.path", text,
        "--data.length", "16", "--data.buckets", "1", "--evaluate-every", "2", "--shown", "0",
        "--optimizer.learning-rate", "1e-9",
    ]  # fmt: skip
    said = training(*command, "--steps", "2")
    assert said.code == 0, said
    assert f"the weights and the symbols of {source}" in said.out
    before, after = (trained(open_existing(str(path))) for path in (source, out))
    wanted = before.params["bert"] | {"positions": {"table": before.params["bert"]["positions"]["table"][:16]}}
    assert_same(after.params, before.params | {"bert": wanted}, tolerance=1e-6)
    np.testing.assert_array_equal(after.tokenizer.encode(story(3)), before.tokenizer.encode(story(3)))
    shutil.rmtree(source)
    again = open_existing(str(out))
    jax.eval_shape(again.task.build(again.config, again.folder).job.init, jax.random.key(0))  # as when it goes on


def test_a_run_that_does_not_fit_is_no_start(run, tmp_path):
    own = ["mlm", "--config", run / "config.json", "--pretrained.run", run, "--out", tmp_path / "out"]
    for flags, words in (
        (["--data.length", "33"], ["--data.length", "at most 32"]),
        (["--data.no-lower"], ["--data.lower should be True", "Try --config"]),
        (["--data.tokenizer", "bpe"], ["--data.tokenizer should be wordpiece"]),
        (["--model.features", "24"], ["features 12, not 24"]),
        (["--pretrained.run", tmp_path], ["--pretrained.run", "not the folder of"]),
    ):
        assert_refused(training(*own, *flags), *words)
    broken = shutil.copytree(run, tmp_path / "broken")
    (broken / "tokenizer.json").write_text("{")
    assert_refused(training(*own, "--pretrained.run", broken), str(broken / "tokenizer.json"), "is broken")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model_type": "roberta"}, ["`model_type` should be one that is known here", "'roberta'", "bert, gpt2"]),
        ({"hidden_act": "relu"}, ["`hidden_act` should be 'gelu' for a BERT", "'relu'"]),
        ({"num_attention_heads": 5}, ["heads", "12"]),
        ({"num_hidden_layers": 3}, ["config.json speaks of arrays"]),
        ({"tie_word_embeddings": False}, ["`tie_word_embeddings` should be True"]),
        ({"intermediate_size": None}, ["`intermediate_size` should be an integer, at least 1", "None"]),
    ],
)
def test_another_model_is_refused(changes, words, tmp_path):
    write_files(tmp_path / "files", **changes)
    assert_refused(seqjax("import", tmp_path / "files", "--out", tmp_path / "run"), *words)
    assert not (tmp_path / "run").exists()


def test_an_output_that_is_not_the_table_of_words_is_refused():
    arrays = random_arrays()
    table = next(array for name, array in arrays.items() if name.endswith("word_embeddings.weight"))
    decoder = "cls.predictions.decoder.weight"
    assert_same(bert_parameters(arrays | {decoder: table}), bert_parameters(arrays))
    with pytest.raises(InputError, match="Only models with tied embeddings"):
        bert_parameters(arrays | {decoder: 2 * table})


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda saved: saved["model"].update(continuing_subword_prefix="@@"), "go on with ## is wanted"),
        (lambda saved: saved.update(normalizer=None), "changed and cut as BERT's is"),
        (lambda saved: saved.update(pre_tokenizer={"type": "Whitespace"}), "changed and cut as BERT's is"),
        (
            lambda saved: saved["added_tokens"].append(saved["added_tokens"][0] | {"id": 99, "content": "<new>"}),
            "<new>",
        ),
        (lambda saved: saved["model"].update(unk_token="the"), r"a vocabulary with \[PAD\]"),
    ],
)
def test_another_way_to_cut_text_is_refused(files, tmp_path, change, words):
    saved = json.loads((files / "tokenizer.json").read_text())
    change(saved)
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match=words):
        adopt_wordpiece(tmp_path)


def test_files_that_are_missing_or_broken_are_named(files, tmp_path):
    folder = shutil.copytree(files, tmp_path / "files")
    for broken in (b"\x90", b'{"a": 1}'):
        (folder / "tokenizer.json").write_bytes(broken)
        assert_refused(seqjax("import", folder, "--out", tmp_path / "run"), "tokenizer.json is broken")
    (folder / "tokenizer.json").unlink()
    assert_refused(seqjax("import", folder, "--out", tmp_path / "run"), "tokenizer.json or vocab.txt is wanted")
    write_files(folder, random_arrays(rows=40))
    assert_refused(seqjax("import", folder, "--out", tmp_path / "run"), "symbol 79, but the weights know 40 only")
    arrays = random_arrays() | {"bert.encoder.layer.1.output.dense.bias": np.ones(3, np.float32)}
    with pytest.raises(InputError, match=r"layer\.1\.output\.dense\.bias` should be \(12,\)"):
        bert_parameters(arrays)


def test_the_run_reads_lines_as_the_library_of_the_files_does(tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    named = {name: value for name, value in CONFIG.items() if name != "model_type"}
    model = library.BertForPreTraining(library.BertConfig(**named, initializer_range=0.3)).eval()
    model.save_pretrained(tmp_path / "files")
    word_pieces().save(str(tmp_path / "files" / "tokenizer.json"))
    assert seqjax("import", tmp_path / "files", "--out", tmp_path / "run").code == 0
    filler, ids = trained(open_existing(tmp_path / "run")), adopt_wordpiece(tmp_path / "files").ids
    assert (len(ids), LONGEST) == (filler.special.vocabulary, filler.model.longest)
    assert len(ids) < V
    for line in LINES[:2]:
        own = [filler.special.cls, *filler.tokenizer.encode(line), filler.special.sep]
        batch = {"tokens": jnp.array([own]), "mask": jnp.ones((1, len(own)), bool)}
        params = jax.tree.map(jnp.asarray, filler.params)
        ys = filler.model.read(params, batch)
        with torch.no_grad():
            wanted = model(torch.tensor(ids[own][None]).long())
        np.testing.assert_allclose(filler.model.score(params, ys)[0], wanted.prediction_logits[0, :, ids], atol=1e-4)
        np.testing.assert_allclose(
            filler.model.relate(params, ys, batch["mask"]), wanted.seq_relationship_logits, atol=1e-4
        )


def assert_same(one, other, tolerance: float = 0.0) -> None:
    """The same nested dicts of the same numbers."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance), one, other)
