"""The files of a GPT-2 become a run: it scores and writes as there, and another run starts from it."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import assert_refused, seqjax, snapshot, story, training
from gpt2_files import BOUNDARY, CONTEXT, D, V, byte_level, write_files
from safetensors.numpy import load_file, save_file

from seqjax.checks import InputError
from seqjax.data.adopted import adopt_tokenizer
from seqjax.interop.gpt2 import gpt2_arrays, gpt2_parameters
from seqjax.interop.model_files import read_arrays
from seqjax.tasks.session import open_existing, trained
from seqjax.training.journal import read

LINES = ["The cat sat on the mat.", "", "On  the mat,\tthe 27 queens é."]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """The folder of a tied GPT-2."""
    folder = tmp_path_factory.mktemp("files") / "gpt2"
    write_files(folder)
    return folder


@pytest.fixture(scope="module")
def run(files, tmp_path_factory) -> Path:
    """The run that it becomes."""
    out = tmp_path_factory.mktemp("runs") / "gpt2"
    said = seqjax("import", files, "--out", out)
    assert said.code == 0, said
    assert "GPT-2 of 2 × 12, 24 positions; 280 symbols" in said.out
    assert f"--pretrained.run {out} --data.path FILE --data.length 24" in said.out
    return out


def test_a_run_of_it_writes_scores_and_can_be_looked_at(run):
    written = seqjax("generate", run, "--prompt", "The cat", "--max-tokens", "5", "--seed", "3")
    assert written.code == 0
    assert written.out.startswith("The cat")
    scores = seqjax("score", run, stdin="\n".join(LINES) + "\n").out.splitlines()
    assert len(scores) == len(LINES)
    page = seqjax("inspect", run).out
    assert "model.features = 12" in page
    assert "verified" in page.partition("checkpoints")[2]


def test_symbols_are_numbered_anew_and_text_is_cut_as_there(files):
    tokenizer, ids = adopt_tokenizer(files)
    library = byte_level()
    assert tokenizer.pieces([0]) == ["<doc>"]
    assert ids[0] == library.token_to_id(BOUNDARY) == V - 1
    assert sorted(ids) == list(range(V))
    for line in [*LINES, story(5), "a\r\n\n  b"]:
        np.testing.assert_array_equal(ids[tokenizer.encode(line)], library.encode(line).ids)
        assert tokenizer.decode(tokenizer.encode(line)) == line
    forged = tokenizer.encode(f"a{BOUNDARY}b")
    assert 0 not in forged  # text cannot forge a boundary
    assert tokenizer.decode(forged) == f"a{BOUNDARY}b"


def test_a_vocabulary_and_merges_in_two_files_are_the_same(files, tmp_path):
    saved = json.loads((files / "tokenizer.json").read_text())["model"]
    vocabulary = saved["vocab"] | {BOUNDARY: V - 1}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    merges = "\n".join(" ".join(pair) for pair in saved["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    (one, first), (other, second) = adopt_tokenizer(files), adopt_tokenizer(tmp_path)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.encode(story(9)), other.encode(story(9)))


def test_weights_go_there_and_back(files):
    arrays = load_file(files / "model.safetensors")
    params = gpt2_parameters(arrays)
    back = gpt2_arrays(params)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
    blocks = params["deep"]["blocks"]
    for part, name, columns in (("mixer", "inputs", 2 * D), ("feed_forward", "up", 8 * D)):  # fewer keys; gates
        layer = {name: {"kernel": np.ones((2, D, columns)), "bias": np.ones((2, columns))}}
        other = {"blocks": blocks | {part: blocks[part] | layer}}
        with pytest.raises(InputError, match=f"gpt2_arrays: `deep/blocks/{part}/{name}/kernel` should be"):
            gpt2_arrays(params | {"deep": other})


def test_files_as_they_were_published_are_the_same(files, run, tmp_path):
    """Names without a prefix, the masks of attention among them, no head; the boundary may be no special symbol."""
    arrays = load_file(files / "model.safetensors")
    del arrays["lm_head.weight"]
    plain = {name.removeprefix("transformer."): array for name, array in arrays.items()}
    mask = np.tril(np.ones((1, 1, CONTEXT, CONTEXT), np.float32))
    plain |= {"h.0.attn.bias": mask, "h.1.attn.bias": mask, "h.1.attn.masked_bias": np.array(-1e4, np.float32)}
    folder = shutil.copytree(files, tmp_path / "files")
    save_file(plain, folder / "model.safetensors")
    saved = json.loads((files / "tokenizer.json").read_text())
    saved["added_tokens"][0]["special"] = False
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    assert seqjax("import", folder, "--out", tmp_path / "run").code == 0
    ours, wanted = (trained(open_existing(str(path))).params for path in (tmp_path / "run", run))
    jax.tree.map(np.testing.assert_array_equal, ours, wanted)


def test_the_weights_of_a_run_go_back_by_the_ids_of_the_files(files, run):
    wanted, params = load_file(files / "model.safetensors"), trained(open_existing(str(run))).params
    back = gpt2_arrays(params, adopt_tokenizer(files)[1])
    assert back.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(back[name], array)
    for ids in (np.arange(V - 1), np.zeros(V, int), np.arange(V) - 1):
        with pytest.raises(InputError, match="gpt2_arrays: `ids` should be"):
            gpt2_arrays(params, ids)


def test_long_texts_are_cut_as_there(files):
    tokenizer, ids = adopt_tokenizer(files)
    text = "\n\n\n".join(story(40, seed) for seed in range(90))
    assert len(text) > 1 << 16
    np.testing.assert_array_equal(ids[tokenizer.encode(text)], byte_level().encode(text).ids)


def test_special_symbols_of_other_tasks_are_left_out(files, tmp_path):
    library = byte_level()
    library.add_special_tokens(["[PAD]"])
    library.save(str(tmp_path / "tokenizer.json"))
    (tokenizer, ids), (_, wanted) = adopt_tokenizer(tmp_path), adopt_tokenizer(files)
    np.testing.assert_array_equal(ids, wanted)
    assert tokenizer.decode(tokenizer.encode("a [PAD] b")) == "a [PAD] b"


def test_a_head_of_its_own_is_kept_in_the_new_order(tmp_path):
    arrays = write_files(tmp_path / "files", tied=False)
    assert seqjax("import", tmp_path / "files", "--out", tmp_path / "run").code == 0
    head = trained(open_existing(str(tmp_path / "run"))).params["head"]["kernel"]
    np.testing.assert_array_equal(head[:, 0], arrays["lm_head.weight"][-1])
    np.testing.assert_array_equal(head[:, 1:], arrays["lm_head.weight"][:-1].T)


def test_weights_in_several_files_in_half_precision_and_rows_of_padding_are_read(files, tmp_path):
    arrays = {name: array.astype(np.float16) for name, array in write_files(tmp_path, rows=V + 4).items()}
    (tmp_path / "model.safetensors").unlink()
    halves = {"model-1.safetensors": sorted(arrays)[::2], "model-2.safetensors": sorted(arrays)[1::2]}
    for file, names in halves.items():
        save_file({name: arrays[name] for name in names}, tmp_path / file)
    where = {name: file for file, names in halves.items() for name in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    found = read_arrays(tmp_path)
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert found.keys() == arrays.keys()
    assert seqjax("import", tmp_path, "--out", tmp_path / "run").code == 0
    table = trained(open_existing(str(tmp_path / "run"))).params["embedding"]["table"]
    assert table.shape == (V, D)


def test_another_run_starts_from_it_and_goes_on_without_it(run, tmp_path):
    source = shutil.copytree(run, tmp_path / "source")
    text, out = tmp_path / "story.txt", tmp_path / "tuned"
    text.write_text(story(300))
    command = [
        "--config", source / "config.json", "--pretrained.run", source, "--out", out, "--data.path", text,
        "--data.length", "12", "--log-every", "4", "--evaluate-every", "4", "--sample-tokens", "0",
        "--optimizer.learning-rate", "1e-9",
    ]  # fmt: skip
    said = training(*command, "--steps", "4")
    assert said.code == 0, said
    assert f"the weights and the symbols of {source}" in said.out
    start, after = (trained(open_existing(str(path))) for path in (source, out))
    assert after.params["positions"]["table"].shape == (12, D)
    np.testing.assert_allclose(after.params["positions"]["table"], start.params["positions"]["table"][:12], atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.params["deep"], start.params["deep"])
    np.testing.assert_array_equal(after.tokenizer.encode(story(3)), start.tokenizer.encode(story(3)))
    shutil.rmtree(source)
    assert training(*("--config", out / "config.json", "--out", out, "--steps", "8")).code == 0
    assert [row["step"] for row in read(out / "metrics.jsonl") if row["split"] == "train"] == [4, 8]


def test_a_run_of_an_older_version_is_a_start(run, tmp_path):
    source = shutil.copytree(run, tmp_path / "source")
    saved = json.loads((source / "config.json").read_text())
    del saved["config"]["model"]["reach"], saved["config"]["pretrained"]
    (source / "config.json").write_text(json.dumps(saved))
    (tmp_path / "text.txt").write_text(story(300))
    said = training(
        "--config", source / "config.json", "--pretrained.run", source, "--data.path", tmp_path / "text.txt", "--out",
        tmp_path / "run", "--steps", 1, "--sample-tokens", 0,
    )  # fmt: skip
    assert said.code == 0, said


def test_a_run_that_does_not_fit_is_no_start(run, tmp_path):
    before = snapshot(run)
    own = ["--config", run / "config.json", "--pretrained.run", run]
    other = training("gpt", "--pretrained.run", run, "--data.tokenizer", "bpe", "--out", tmp_path / "a")
    assert_refused(other, "should have the shape of that run's: features 12, not 128", "Try --config")
    assert_refused(
        training("char-lstm", "--pretrained.run", run, "--data.tokenizer", "bpe", "--out", tmp_path / "b"),
        "features 12, not 256",
    )
    assert_refused(training(*own, "--data.length", "25", "--out", tmp_path / "c"), "--data.length", "at most 24")
    assert_refused(
        training(*own, "--data.tokenizer", "word", "--out", tmp_path / "e"), "--data.tokenizer should be bpe"
    )
    assert_refused(training("--config", run / "config.json", "--out", run), "another starts from it")
    assert_refused(
        training("--pretrained.run", tmp_path, "--out", tmp_path / "d"), "--pretrained.run", "not the folder of"
    )
    assert not any((tmp_path / name).exists() for name in "abcde")
    assert {name: digest for name, digest in snapshot(run).items() if name in before} == before


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model_type": "llama"}, ["`model_type` should be one that is known here", "'llama'"]),
        ({"activation_function": "silu"}, ["activation_function", "silu"]),
        ({"n_head": 0}, ["`n_head` should be at least 1"]),
        ({"n_head": 5}, ["heads", "12"]),
        ({"n_layer": 3}, ["config.json speaks of arrays"]),
        ({"n_inner": 48.5}, ["`n_inner` should be an integer", "48.5"]),
        ({"activation_function": ["gelu"]}, ["activation_function", "gelu"]),
    ],
)
def test_another_model_is_refused(changes, words, tmp_path):
    write_files(tmp_path / "files", **changes)
    assert_refused(seqjax("import", tmp_path / "files", "--out", tmp_path / "run"), *words)
    assert not (tmp_path / "run").exists()


def test_files_that_are_missing_or_broken_are_named(files, run, tmp_path):
    assert_refused(seqjax("import", tmp_path / "nowhere"), "nowhere", "cannot be read")
    for name, what in (
        ("config.json", "cannot be read"),
        ("model.safetensors", "there is no such file"),
        ("tokenizer.json", "vocab.json"),
    ):
        folder = shutil.copytree(files, tmp_path / name)
        (folder / name).unlink()
        assert_refused(seqjax("import", folder, "--out", tmp_path / "run"), what)
        (folder / name).write_bytes(b"\x90nonsense")
        assert_refused(seqjax("import", folder, "--out", tmp_path / "run"), name, "is broken")
    assert not (tmp_path / "run").exists()
    assert_refused(seqjax("import", files, "--out", run), "holds this run already")
    arrays = load_file(files / "model.safetensors")
    save_file(arrays | {"transformer.ln_f.bias": np.full(D, np.nan, np.float32)}, folder / "model.safetensors")
    assert_refused(seqjax("import", folder, "--out", tmp_path / "run"), "transformer.ln_f.bias", "not finite")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": []}')
    assert_refused(seqjax("import", folder, "--out", tmp_path / "run"), "`weight_map` should name a file")
    with pytest.raises(InputError, match=r"`h\.1\.ln_1\.bias` should be \(12,\) as `h\.0\.ln_1\.bias` is"):
        gpt2_parameters(arrays | {"transformer.h.1.ln_1.bias": np.ones(5)})
    del arrays["transformer.h.1.ln_1.weight"]
    with pytest.raises(InputError, match=r"`h\.1\.ln_1\.weight` is missing"):
        gpt2_parameters(arrays)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda saved: saved["model"].update(merges=[]), "byte-level BPE with merges"),
        (lambda saved: saved.update(normalizer={"type": "Lowercase"}), "changed before it is cut"),
        (lambda saved: saved["pre_tokenizer"].update(add_prefix_space=True), "changed before it is cut"),
        (lambda saved: saved["model"].update(dropout=0.5), "cut by chance"),
        (
            lambda saved: saved["added_tokens"].append(
                saved["added_tokens"][0] | {"content": "queen", "special": False}
            ),
            "'queen' was added",
        ),
        (
            lambda saved: saved.update(
                pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, saved["pre_tokenizer"]]}
            ),
            "changed before it is cut",
        ),
        (lambda saved: saved.update(added_tokens=[]), "vocabulary with <|endoftext|>"),
        (lambda saved: saved["added_tokens"][0].update(content="a b"), "vocabulary with <|endoftext|>"),
        (lambda saved: saved.update(pre_tokenizer={"type": "Whitespace"}), "byte-level BPE with merges"),
    ],
)
def test_symbols_that_could_not_be_given_back_are_refused(change, words, files, tmp_path):
    saved = json.loads((files / "tokenizer.json").read_text())
    change(saved)
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match=words.replace("|", r"\|")):
        adopt_tokenizer(tmp_path)


def test_the_run_scores_lines_as_the_library_of_the_files_does(tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = library.GPT2Config(
        n_layer=2, n_embd=D, n_head=3, vocab_size=V, n_positions=CONTEXT, initializer_range=0.3, bos_token_id=V - 1,
        eos_token_id=V - 1,
    )  # fmt: skip
    model = library.GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path / "files")
    byte_level().save(str(tmp_path / "files" / "tokenizer.json"))
    assert seqjax("import", tmp_path / "files", "--out", tmp_path / "run").code == 0
    scores = seqjax("score", tmp_path / "run", "--json", stdin="\n".join(LINES) + "\n").out.splitlines()
    for line, score in zip(LINES, map(json.loads, scores), strict=True):
        ids = torch.tensor([V - 1, *byte_level().encode(line).ids, V - 1])
        with torch.no_grad():
            logits = torch.log_softmax(model(ids[None, :-1]).logits[0], -1)
        wanted = logits[torch.arange(len(ids) - 1), ids[1:]].sum().item()
        assert score["symbols"] == len(ids) - 1
        np.testing.assert_allclose(score["log_probability"], wanted, rtol=1e-4)
