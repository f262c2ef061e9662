"""CoNLL-U and trees: read, written, refused with file and line; the treebank of our own; attachment scores."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.conllu import looks_like_conllu, make_tree, parse_conllu, read_conllu, with_heads, write_conllu
from seqjax.data.spanning_tree import find_cycle
from seqjax.data.treebank import TreebankConfig, grammar, write_treebank
from seqjax.data.trees import TreesConfig, attachment, encode_trees, list_labels, read_tree_splits
from seqjax.data.word_list import count_words

FILE = """# newdoc
# sent_id = pt-1
# text = Gosto do mar e ela da serra
1\tGosto\tgostar\tVERB\t_\tMood=Ind\t0\troot\t0:root\t_
2-3\tdo\t_\t_\t_\t_\t_\t_\t_\t_
2\tde\tde\tADP\t_\t_\t4\tcase\t4:case\t_
3\to\to\tDET\t_\t_\t4\tdet\t4:det\t_
4\tmar\tmar\tNOUN\t_\t_\t1\tobl\t1:obl\tSpaceAfter=No
5\te\te\tCCONJ\t_\t_\t6\tcc\t_\t_
6\tela\tela\tPRON\t_\t_\t1\tconj\t_\t_
6.1\tgosta\tgostar\tVERB\t_\t_\t_\t_\t1:conj\t_
7\tda\tda\tADP\t_\t_\t8\tcase\t_\t_
8\tserra\tserra\tNOUN\t_\t_\t6\torphan\t_\t_

"""


def row(number, head, form="a", label="x") -> str:
    """One word."""
    return f"{number}\t{form}\t_\tNOUN\t_\t_\t{head}\t{label}\t_\t_"


def test_a_file_is_written_as_it_was_read():
    (tree,) = parse_conllu(FILE, "a.conllu")
    assert write_conllu([tree]) == FILE
    assert tree.forms == ("Gosto", "de", "o", "mar", "e", "ela", "da", "serra")
    assert tree.heads.tolist() == [0, 4, 4, 1, 6, 1, 8, 6]
    assert (tree.name, tree.upos[3], tree.where) == ("pt-1", "NOUN", "a.conllu, line 4")


def test_other_line_ends_and_a_missing_last_blank_line_change_nothing():
    wanted = write_conllu(parse_conllu(FILE + FILE, "a"))
    assert write_conllu(parse_conllu((FILE + FILE).replace("\n", "\r\n"), "a")) == wanted
    assert write_conllu(parse_conllu((FILE + "\n\n" + FILE).rstrip("\n"), "a")) == wanted


def test_a_new_tree_leaves_the_other_columns_as_they_were():
    (tree,) = parse_conllu(FILE, "a.conllu")
    changed = with_heads(tree, [2, 0, 2, 2, 2, 2, 2, 2], ["y"] * 8)
    (again,) = parse_conllu(write_conllu([changed]), "b.conllu")
    assert again.heads.tolist() == [2, 0, 2, 2, 2, 2, 2, 2]
    assert (again.rows[1], again.rows[4][:6], again.rows[4][8:]) == (
        tree.rows[1],
        tree.rows[4][:6],
        ("_", "SpaceAfter=No"),
    )
    assert [row[:6] for row in again.rows] == [row[:6] for row in tree.rows]


def test_heads_need_not_be_there_for_those_who_do_not_look():
    text = FILE.replace("\t0\troot", "\t_\t_")
    assert parse_conllu(text, "a", heads=False)[0].heads.tolist() == [-1] * 8
    with pytest.raises(InputError, match="HEAD should be the number of a word"):
        parse_conllu(text, "a")


REFUSED = {
    "a missing column": ([row(1, 0), row(2, 1)[:-2]], "line 2: should have ten columns.*MISC is missing"),
    "spaces": (["1 a _ NOUN _ _ 0 x _ _"], "line 1: .* has 1. Columns are separated by tabs"),
    "an empty column": ([row(1, 0, form="")], "line 1: the column FORM is empty"),
    "a cycle": ([row(1, 0), row(2, 3), row(3, 2)], "line 2: the words 2, 3 hang on each other in a cycle"),
    "two roots": ([row(1, 0), row(2, 0)], "line 2: a second root.*the first is on line 1"),
    "no root": ([row(1, 2), row(2, 1)], "line 1: the sentence has no root, the words 1, 2 hang"),
    "a word on itself": ([row(1, 1)], "line 1: the sentence has no root, the word 1 hangs on itself"),
    "a head that is no word": ([row(1, 0), row(2, 3)], "line 2: HEAD should be .* 1 to 2, .* but it is 3"),
    "a head that is no number": ([row(1, "x")], "line 1: HEAD should be the number"),
    "ids out of order": ([row(1, 0), row(3, 1)], "line 2: ids .* here 2 is wanted, not 3"),
    "no blank line": ([row(1, 0), row(1, 0)], "line 2: .*Is a blank line missing"),
    "a token without end": ([row("1-3", "_"), row(1, 0), row(2, 1)], "line 1: a multiword token ends with word 3 of 2"),
    "a late token": ([row(1, 0), row("1-2", "_"), row(2, 1)], "line 2: the multiword token 1-2 should stand before"),
    "an empty node": ([row(1, 0), row("3.1", "_")], "line 2: the empty node 3.1 should stand after"),
    "no word": ([row("1-2", "_")], "line 1: a sentence without a word"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_tree_is_refused_with_file_and_line(case, tmp_path):
    lines, message = REFUSED[case]
    path = tmp_path / "bad.conllu"
    path.write_text("\n".join(lines) + "\n\n")
    with pytest.raises(InputError, match=f"bad.conllu, {message}"):
        read_conllu([str(path)])


def test_a_file_without_sentences_is_refused(tmp_path):
    (tmp_path / "empty.conllu").write_text("# only this\n\n")
    with pytest.raises(InputError, match="holds no sentence"):
        read_conllu([str(tmp_path / "empty.conllu")])
    assert not looks_like_conllu(["Birds sing", "1\tis\ta\tnumber"])


@pytest.fixture(scope="module")
def treebank():
    """Splits of a small treebank."""
    return write_treebank(TreebankConfig(sentences=600, held=60))


def test_every_sentence_of_the_treebank_is_a_tree_and_stands_in_one_split(treebank):
    trees = [tree for part in treebank for tree in part]
    assert parse_conllu(write_conllu(trees), "written")[7].labels == trees[7].labels  # which refuses what is no tree
    assert len({tree.forms for tree in trees}) == len(trees) == 720
    assert max(len(tree.forms) for tree in trees) <= TreebankConfig().longest
    assert not any(find_cycle(tree.heads.tolist()) for tree in trees)
    assert {"det", "nsubj", "obj", "obl", "nmod", "case", "amod", "advmod", "conj", "cc", "mark", "advcl", "acl:relcl",
            "ccomp", "xcomp", "cop", "aux", "root", "punct"} <= set(list_labels(trees).names)  # fmt: skip
    again = write_treebank(TreebankConfig(sentences=600, held=60))
    assert [tree.forms for tree in again[2]] == [tree.forms for tree in treebank[2]]
    assert write_treebank(TreebankConfig(sentences=3, held=1, seed=1))[0][0].forms != treebank[0][0].forms


def test_the_grammar_is_closed_and_every_rule_has_one_head():
    rules = grammar()
    for symbol, found in rules.items():
        for parts in found.parts:
            assert sum(not part.label for part in parts) == 1, symbol
            assert all(part.word[0] or part.symbol in rules for part in parts), symbol


def test_the_treebank_holds_what_words_decide(treebank):
    trees = [tree for part in treebank for tree in part]
    found = set()
    crossing = 0
    for tree in trees:
        arcs = [sorted((word, head)) for word, head in enumerate(tree.heads.tolist(), 1)]
        crossing += any(a < c < b < d for a, b in arcs for c, d in arcs)
        for word, form in enumerate(tree.forms):
            if form in ("telescope", "microscope", "camera", "lens") and tree.labels[word] in ("nmod", "obl"):
                found.add((tree.labels[word], tree.upos[tree.heads[word] - 1]))
    assert {("nmod", "NOUN"), ("obl", "VERB")} <= found
    assert 0.05 < crossing / len(trees) < 0.25


def test_a_treebank_that_cannot_be_is_refused(monkeypatch):
    monkeypatch.setattr("seqjax.data.treebank.PATIENCE", 20)
    with pytest.raises(InputError, match=r"of 502 .* of at most 6 words the grammar found only"):
        write_treebank(TreebankConfig(sentences=500, held=1, longest=6))
    with pytest.raises(InputError, match="`longest` should be at least 6"):
        TreebankConfig(longest=3)


def test_attachment_counts_what_it_should():
    one = make_tree("abcd", [2, 0, 2, 3], ["x", "root", "y", "punct"], ["NOUN", "VERB", "NOUN", "PUNCT"])
    two = one._replace(heads=np.array([2, 0, 1, 1]), labels=("z", "root", "y", "punct"))
    scores = attachment([one, one], [two, one])
    assert (scores.words, scores.heads, scores.labels) == (8, 6, 5)
    assert attachment([one, one], [two, one], punctuation=False).uas == 5 / 6
    assert attachment([], []).las == 0


def test_files_are_split_and_relations_lose_their_subtypes_when_asked(tmp_path, treebank):
    path = tmp_path / "all.conllu"
    path.write_text(write_conllu(treebank[0][:50]))
    splits = read_tree_splits(TreesConfig(path=(str(path),), subtypes=False))
    assert [len(part) for part in splits] == [40, 5, 5]
    assert not any(":" in label for tree in splits.train for label in tree.labels)
    with pytest.raises(InputError, match=r"a sentence of .* words, and `longest` is 5"):
        read_tree_splits(TreesConfig(path=(str(path),), longest=5))
    path.write_text(FILE)
    with pytest.raises(InputError, match="validation split is empty"):
        read_tree_splits(TreesConfig(path=(str(path),)))


def test_a_relation_that_training_never_saw_is_refused_or_counted_as_wrong():
    known, other = make_tree("ab", [0, 1], ["root", "obj"]), make_tree("ab", [0, 1], ["root", "iobj"])
    lists = count_words(["ab"]), None, list_labels([known])
    with pytest.raises(InputError, match=r"the relation 'iobj' .of 'b'. stands nowhere .* Did you mean `obj`"):
        encode_trees([known, other], *lists, "refuse")
    assert [ids.tolist() for ids in encode_trees([known, other], *lists, "wrong").steps["labels"]] == [[1, 0], [1, -1]]
