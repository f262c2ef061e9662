"""The task ``parse`` from the command line: train, parse lines and CoNLL-U, evaluate, draw; and what is refused."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training

from seqjax.checks import InputError
from seqjax.data import LabelList, count_words
from seqjax.data.conllu import make_tree, parse_conllu, write_conllu
from seqjax.data.treebank import TreebankConfig, write_treebank
from seqjax.data.trees import TreesConfig
from seqjax.models.parser import Parsed, ParserModel
from seqjax.plots import dependencies
from seqjax.plots.dependencies import lay_arcs
from seqjax.tasks import parse
from seqjax.tasks.command import read_command
from seqjax.tasks.parse import build, use
from seqjax.tasks.parse_use import ParseUse, TreesOption
from seqjax.tasks.session import open_existing, trained
from seqjax.training.folder import RunFolder
from seqjax.training.journal import read

TINY = [
    "--model.words.embedding", 8, "--model.words.characters", "none", "--model.reader.features", 12,
    "--model.reader.layers", 1, "--model.arc-features", 8, "--model.label-features", 6, "--model.dropout", 0,
    "--model.words.dropout", 0, "--model.reader.dropout", 0, "--batch-size", 16, "--data.buckets", 1, "--shown", 1,
    "--optimizer.warmup", 0, "--optimizer.learning-rate", 0.03, "--data.min-count", 1, "--log-every", 40,
]  # fmt: skip


@pytest.fixture(scope="module")
def trees():
    """Short sentences of the treebank, without relations so rare that they might be in one split only."""
    few = {"det", "amod", "nsubj", "root", "obj", "advmod", "aux", "punct", "nmod:poss", "case"}
    parts = write_treebank(TreebankConfig(sentences=700, held=100, longest=7))
    return [[tree for tree in part if few.issuperset(tree.labels)] for part in parts]


@pytest.fixture(scope="module")
def file(tmp_path_factory, trees) -> Path:
    """All of them."""
    path = tmp_path_factory.mktemp("trees") / "all.conllu"
    path.write_text(write_conllu([tree for part in trees for tree in part]), encoding="utf-8")
    return path


def command(out, file, *words) -> list:
    """A small run; ``words`` come last and win."""
    return ["parse", "--out", out, "--data.path", file, *TINY, "--steps", 2, "--evaluate-every", 2, *words]


@pytest.fixture(scope="module")
def run(tmp_path_factory, file) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "trees"
    said = training(*command(folder, file, "--steps", 80, "--evaluate-every", 40))
    assert said.code == 0, said.err
    return folder


def test_it_learns_and_reports_attachment(run):
    rows = read(run / "metrics.jsonl")
    assert rows[-1]["split"] == "test"
    assert rows[-1]["uas"] >= rows[-1]["las"] > 0.8
    assert rows[-1]["loss"] == pytest.approx(rows[-1]["arc_loss"] + rows[-1]["label_loss"])
    assert "wanted" in (run / "samples.txt").read_text() or "all right" in (run / "samples.txt").read_text()


def test_lines_become_trees_whose_words_hang_on_one_root(run):
    said = seqjax("predict", run, stdin="Anna meets Peter .\n\nThe men sleep quickly .\nDinosaurs !\n")
    assert said.code == 0, said.err
    found = parse_conllu(said.out, "out")  # which refuses what is no tree
    assert [tree.forms[0] for tree in found] == ["Anna", "The", "Dinosaurs"]
    assert said.out.startswith("# text = Anna meets Peter .\n1\tAnna\t_\t")
    for tree in found:
        assert [label == "root" for label in tree.labels] == [head == 0 for head in tree.heads.tolist()]
    cut = seqjax("predict", run, "--punctuation", stdin="Anna's men sleep.\n")
    assert parse_conllu(cut.out, "out")[0].forms == ("Anna", "'s", "men", "sleep", ".")
    assert seqjax("predict", run, stdin="\n").out == ""


@pytest.mark.parametrize("likely", [0, 1])
def test_the_root_has_its_relation_and_no_other_word_whatever_is_likely(likely):
    model = ParserModel(
        None,
        lambda params, batch, keys: Parsed(jnp.zeros((*batch["mask"].shape, batch["mask"].shape[1] + 1)), None, None),
        lambda params, parsed, heads, mask: jnp.broadcast_to(jnp.arange(2.0) == likely, (*mask.shape, 2)) * 1.0,
    )
    words = count_words([["sing"]])
    (tree,) = ParseUse(model, words, None, LabelList(["nsubj", "root"]), TreesConfig(), None).parse(
        [make_tree(["Birds", "sing", "."], [2, 0, 2], ["x"] * 3)]
    )
    assert sorted(zip(tree.heads == 0, tree.labels, strict=True)) == [(False, "nsubj")] * 2 + [(True, "root")]


def test_punctuation_is_left_out_where_the_run_or_the_command_says_so(file, tmp_path, monkeypatch):
    asked, totals = [], dict.fromkeys(("arcs", "labels", "accuracy"), (1.0, 1))
    monkeypatch.setattr(parse, "examine", lambda use, parts, skip: asked.append(skip) or (lambda params, split: {}))
    monkeypatch.setattr(parse, "Evaluator", lambda *given: lambda params, batches: totals)
    config = read_command([str(word) for word in command(tmp_path, file)]).config
    splits = parse.read_tree_splits(config.data)
    monkeypatch.setattr(parse, "read_tree_splits", lambda data: splits)
    for own in (False, True):
        config = dataclasses.replace(config, skip_punctuation=own)
        build(config, RunFolder(tmp_path))
        for also in (False, True):
            parse.evaluate(config, RunFolder(tmp_path), None, TreesOption(skip_punctuation=also))
    assert asked == [False, False, True, True, True, True]


def test_conllu_comes_back_with_its_other_columns(run, trees):
    given = write_conllu(trees[2][:3]).replace("\t_\t_\n", "\t_\tKept=Yes\n")
    bare = "\n".join("\t".join([*c[:6], "_", "_", *c[8:]]) if len(c := line.split("\t")) > 1 else line
                     for line in given.split("\n"))  # fmt: skip
    said = seqjax("predict", run, stdin=bare)
    assert said.code == 0, said.err
    for wanted, tree in zip(parse_conllu(given, "in"), parse_conllu(said.out, "out"), strict=True):
        assert tree.comments == wanted.comments
        assert [(*row[:6], row[9]) for row in tree.rows] == [(*row[:6], row[9]) for row in wanted.rows]
    assert seqjax("predict", run, stdin=given).out == said.out


def test_a_sentence_is_parsed_alike_alone_and_among_others(run, trees):
    parser = trained(open_existing(str(run)))
    together = parser.parse(trees[1])
    for place in (0, 7):
        (alone,) = parser.parse([trees[1][place]])
        assert (alone.heads.tolist(), alone.labels) == (together[place].heads.tolist(), together[place].labels)


def test_evaluate_repeats_the_last_row_and_measures_other_files(run, tmp_path):
    last = read(run / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", run, "--json").out)
    assert_own_splits(run)
    for name in ("loss", "arc_loss", "label_loss", "accuracy", "uas", "las"):
        assert said[name] == pytest.approx(last[name], rel=1e-5)
    own = seqjax("predict", run, stdin="Anna meets Peter .\nMaria sleeps .\n").out
    (tmp_path / "own.conllu").write_text(own)
    said = json.loads(seqjax("evaluate", run, "--json", "--data.path", tmp_path / "own.conllu").out)
    assert said["uas"] == said["las"] == 1
    tree = parse_conllu(own, "own")[1]
    wrong = write_conllu([make_tree(tree.forms, [2, 0, 1], ["nsubj", "root", "punct"])])
    (tmp_path / "own.conllu").write_text(wrong)
    said = json.loads(seqjax("evaluate", run, "--json", "--data.path", tmp_path / "own.conllu").out)
    assert said["uas"] == pytest.approx(2 / 3)
    words = ["--json", "--data.skip-punctuation", "--data.path", tmp_path / "own.conllu"]
    assert json.loads(seqjax("evaluate", run, *words).out)["uas"] == 1


def test_pictures_of_trees_are_saved(run, tmp_path):
    said = seqjax("predict", run, "--draw", tmp_path / "trees", stdin="Anna sleeps .\nPeter meets Anna .\n")
    assert said.code == 0, said.err
    files = sorted((tmp_path / "trees").iterdir())
    assert [path.name for path in files] == ["0001.png", "0002.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)


def test_what_cannot_be_read_is_refused(run, file, tmp_path):
    text = file.read_text()
    bad = tmp_path / "bad.conllu"

    def refused(changed: str, *words: str) -> None:
        bad.write_text(changed)
        assert_refused(seqjax("evaluate", run, "--data.path", bad), "bad.conllu, line", *words)

    refused(text.replace("\t0\troot", "\t1\troot", 1), "no root")
    refused(text.replace("\tnsubj\t", "\t_\t_", 1).replace("\t_\n", "\n", 1), "ten columns")
    refused(text.replace("\tnsubj\t", "\tnsubject\t", 1), "'nsubject'", "Did you mean `nsubj`?", "--data.unseen wrong")
    words = ["--data.path", bad, "--data.unseen", "wrong", "--json"]
    assert json.loads(seqjax("evaluate", run, *words).out)["las"] > 0.5
    bad.write_text(text.replace("\tpunct\t", "\tdot\t"))
    assert_refused(training(*command(tmp_path / "new", file, "--data.test-path", bad)), "'dot'", "nowhere")
    assert not (tmp_path / "new").exists()
    assert_refused(seqjax("predict", run, stdin="1\tA\t_\t_\t_\t_\t_\t_\t_\t_\n3" + "\t_" * 9), "line 2", "2 is wanted")
    assert_refused(seqjax("predict", run, stdin="a " * 600), "line 1: the sentence has 600 words")
    assert_refused(seqjax("generate", run), "cannot do this")
    assert_refused(
        training("parse", "--model.arc-features", 0, "--out", tmp_path / "new"), "--model.arc-features should"
    )
    assert_refused(training("parse", "--shown", -1, "--out", tmp_path / "new"), "--shown")


def test_vectors_of_a_file_are_the_start(file, tmp_path):
    (tmp_path / "vectors.txt").write_text("2 3\nanna 1 2 3\nmeets 4 5 6\n")
    for tuned in (True, False):
        folder = RunFolder(tmp_path / str(tuned))
        folder.path.mkdir()
        flags = [
            "--embeddings.path",
            tmp_path / "vectors.txt",
            "--embeddings.tuned" if tuned else "--embeddings.no-tuned",
        ]
        config = read_command([str(word) for word in command(folder.path, file, *flags)]).config
        built = build(config, folder)
        assert any("have a vector of 3 features" in much for _, much in built.summary)
        tables = jax.eval_shape(built.job.init, jax.random.key(0))["features"]["words"]
        assert (tables["table"] if tuned else tables["frozen"]["table"]).shape[1] == 3
    table = jax.jit(built.job.init)(jax.random.key(0))["features"]["words"]["frozen"]["table"]
    assert {(1, 2, 3), (4, 5, 6)} <= {tuple(row) for row in np.asarray(table).tolist()}
    (tmp_path / "vectors.txt").unlink()  # the run keeps what it needs
    assert use(config, folder, lambda shapes: shapes).params["root"].shape == (24,)


def test_a_tree_is_drawn_with_an_arc_for_every_word():
    heads = [5, 4, 4, 0, 4, 4]  # the arc from 5 to 1 crosses that of the root
    drawn = dependencies("abcdef", heads, ["x"] * 6, title="a tree")
    arcs = {patch.get_gid() for patch in drawn.axes[0].patches}
    assert arcs == {"arc 5 1", "arc 4 2", "arc 4 3", "arc 4 4", "arc 4 5", "arc 4 6"}
    levels = [arc.level for arc in lay_arcs(heads)]
    assert levels[2] < levels[1] < levels[0] < levels[3]
    crossing = [arc.level for arc in lay_arcs([3, 4, 0, 3])]
    assert len({crossing[0], crossing[1]}) == 2
    assert len(dependencies(["Go"], [0], ["root"], tags=["VERB"]).axes[0].texts) == 3


def test_what_cannot_be_drawn_is_refused():
    for words, heads, relations, tags in (
        ([], [], [], ()), ("ab", [0], "xy", ()), ("ab", [0, 1], "x", ()), ("ab", [0, 1], "xy", "A"),
        ("ab", [0, 3], "xy", ()), ("ab", [0, 2], "xy", ()),
    ):  # fmt: skip
        with pytest.raises(InputError, match="dependencies: "):
            dependencies(words, heads, list(relations), tags=list(tags))
