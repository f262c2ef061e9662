"""Configurations: flags win over the file, which wins over the preset; strictly read, and nothing lost on the way."""

import dataclasses
import json

import pytest
from command_line import assert_refused, training

from seqjax.tasks import TASKS
from seqjax.tasks.command import read_command
from seqjax.tasks.lm import PRESETS
from seqjax.training.configuration import differences, from_dict
from seqjax.training.folder import as_identity

FILES = {
    "missing": (None, ["no such file"]),
    "no JSON": ("steps = 3", ["not readable as JSON"]),
    "not text": ("\udcff", ["not readable as JSON"]),
    "a list": ("[1]", ["should be an object", "[1]"]),
    "an unknown field": ('{"stpes": 3}', ["`stpes`", "Did you mean `steps`?"]),
    "an unknown field inside": ('{"model": {"cel": "lstm"}}', ["model", "`cel`", "Did you mean `cell`?"]),
    "a wrong type": ('{"steps": "many"}', ["steps", "int", "'many'"]),
    "a wrong type inside": ('{"optimizer": {"learning_rate": true}}', ["optimizer.learning_rate", "float"]),
    "a boolean for a number": ('{"steps": true}', ["steps", "int", "True"]),
    "a wrong choice": ('{"precision": "float16"}', ["precision", "'float16'"]),
    "an impossible width": ('{"model": {"features": 0}}', ["`features`"]),
    "another task": ('{"task": "tag", "preset": "x", "config": {}}', ["task", "tag"]),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_configuration_that_does_not_fit_is_refused(kind, tmp_path):
    content, words = FILES[kind]
    file = tmp_path / "config.json"
    if content is not None:
        file.write_bytes(content.encode(errors="surrogateescape"))
    assert_refused(training("lm", "--config", file, "--out", tmp_path / "run", "--steps", 2), "config.json", *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("task, preset", [(task, preset) for task in TASKS.values() for preset in task.presets])
def test_a_configuration_comes_back_from_json_as_it_was(task, preset):
    config = task.presets[preset]
    data = json.loads(json.dumps(dataclasses.asdict(config)))
    assert from_dict(task.kind(preset), data) == config
    assert differences(data, data) == []


def test_flags_win_over_the_file_which_wins_over_the_preset(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"seed": 3, "model": {"layers": 5, "features": 9}}))
    command = read_command(["lm", "word-lstm", "--config", str(file), "--model.features", "7"])
    assert (command.preset, command.config.out) == ("word-lstm", "runs/lm-word-lstm")
    model = dataclasses.replace(PRESETS["word-lstm"].model, layers=5, features=7)
    assert command.config == dataclasses.replace(PRESETS["word-lstm"], seed=3, model=model, out="runs/lm-word-lstm")


def test_what_an_older_run_does_not_say_is_as_it_was_for_the_run(tmp_path):
    data = json.loads(json.dumps(dataclasses.asdict(PRESETS["char-lstm"])))
    del data["model"]["embedding_dropout"]
    file = tmp_path / "config.json"
    for content, wanted in ((data, 0.0), ({"task": "lm", "preset": "char-lstm", "config": data}, None)):
        file.write_text(json.dumps(content))
        assert read_command(["lm", "--config", str(file)]).config.model.embedding_dropout == wanted


def test_a_saved_run_brings_its_preset_and_only_a_horizon_of_its_own(tmp_path):
    file = tmp_path / "config.json"
    for horizon, kept in ((None, None), (77, 77)):
        optimizer = dataclasses.replace(PRESETS["ngram"].optimizer, horizon=horizon)
        saved = as_identity("lm", "ngram", dataclasses.replace(PRESETS["ngram"], out="elsewhere", optimizer=optimizer))
        file.write_text(json.dumps(saved._asdict()))
        command = read_command([f"--config={file}", "--steps", "9"])
        assert (command.preset, command.config.out, command.config.steps) == ("ngram", "runs/lm-ngram", 9)
        assert command.config.optimizer.horizon == kept
        assert command.config.data == PRESETS["ngram"].data


@pytest.mark.parametrize("words, preset", [([], "char-lstm"), (["lm"], "char-lstm"), (["ngram"], "ngram")])
def test_a_task_and_a_preset_may_be_left_out(words, preset):
    command = read_command(words)
    assert (command.task.name, command.preset) == ("lm", preset)
    assert command.config == dataclasses.replace(PRESETS[preset], out=f"runs/lm-{preset}")
