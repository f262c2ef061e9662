"""From a command to a run, and from a run back to its model."""

import contextlib
import dataclasses
import re
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from seqjax.checks import InputError, nearest
from seqjax.tasks import TASKS
from seqjax.tasks.command import Command
from seqjax.tasks.contract import Task
from seqjax.tasks.data_files import changed_files, remember_files
from seqjax.tasks.pretrained import begun
from seqjax.training.best import best_params
from seqjax.training.configuration import from_dict
from seqjax.training.devices import check_rows, join_cluster, writer_first
from seqjax.training.folder import RunFolder, as_identity, open_run, read_run, undone_unless_begun
from seqjax.training.journal import read as read_journal
from seqjax.training.loop import Outcome, Trainer
from seqjax.training.progress import reporter, tensorboard
from seqjax.training.recorder import Recorder

STARTED = time.perf_counter()


@contextlib.contextmanager
def session(command: Command) -> Iterator[tuple[RunFolder, Recorder]]:
    """The folder of a run, new or continued, and the record kept in it.

    Raises:
        InputError: the folder holds something else, cannot be written, or another process is training in it.
    """
    task, preset, config = command
    if config.distributed:
        join_cluster()
    check_rows(config.batch_size, config.accumulate)
    writer = jax.process_index() == 0
    identity = as_identity(task.name, preset, config)
    with contextlib.ExitStack() as stack:
        folder, _ = writer_first(
            lambda first: open_run(config.out, identity, writer=first, kind=type(config), held=stack)
        )
        also = (tensorboard(folder.path),) if config.tensorboard and writer else ()
        stack.enter_context(undone_unless_begun(folder) if writer else contextlib.nullcontext())
        show = stack.enter_context(reporter(config.steps, silent=not writer))
        options = {"keep": config.keep, "agree_every": config.log_every, "started": STARTED, "also": also}
        yield folder, stack.enter_context(Recorder(folder, show, **options))


def begin(command: Command, folder: RunFolder, recorder: Recorder) -> Trainer:
    """Read the data, make the model and the step, and say what will be trained.

    What a start without a checkpoint left behind is learned anew: its data may have been other data.
    """
    if recorder.checkpoints is not None and not recorder.checkpoints.steps():
        for path in folder.learned:
            path.unlink(missing_ok=True)
    built = command.task.build(command.config, folder)
    width = max(len(what) for what, _ in built.summary)
    recorder.note("\n".join(f"{what:<{width}}  {much}" for what, much in [*built.summary, ("run", str(folder.path))]))
    if recorder.writer:
        if not begun(folder):
            remember_files(command.config, folder)
        elif others := changed_files(command.config, folder):
            recorder.note(others)
    config = read_run(folder.path)[1].config  # with the horizon that holds for this run
    optimizer = dataclasses.replace(command.config.optimizer, horizon=config["optimizer"]["horizon"])
    return Trainer(built.job, command.config, optimizer, folder)


def finish(outcome: Outcome, command: Command, trainer: Trainer, recorder: Recorder) -> int:
    """After the last step: the best parameters on the test split, and the curves; the exit code.

    A run that a signal stopped says how to go on, and exits as the signal would have it.
    """
    recorder.settle()
    folder = recorder.folder
    if recorder.writer:
        recorder.note(draw_curves(folder, command.task.unit))
    if outcome.signal is not None:
        name = signal.Signals(outcome.signal).name
        recorder.note(f"{name}: stopped after step {outcome.step:,} and saved. The same command continues the run.")
        return 128 + outcome.signal
    shapes = jax.eval_shape(trainer.job.init, jax.random.key(0))
    params, step = best_params(command.config, folder, shapes)
    row = trainer.test(params, step, recorder)
    if recorder.writer:
        shown = {name: value for name, value in row.items() if name not in ("step", "split")}
        last = command.config.average_last
        used = f"mean of the newest checkpoints, at most {last}, up to" if last else "best validation at"
        recorder.reporter.table(f"test split, {used} step {step:,}:", [shown])
        verbs = [next(iter(command.task.verbs)), "evaluate", "inspect"]
        recorder.note("try: " + "    ".join(f"seqjax {verb} {folder.path}" for verb in verbs))
    return 0


def draw_curves(folder: RunFolder, unit: str) -> str:
    """Write curves.png; say where it is, or what it needs."""
    from seqjax.plots.curves import curves

    if not folder.metrics.exists():
        return "no curves.png: nothing was recorded yet"
    try:
        rows = read_journal(folder.metrics)
        curves(rows, title=folder.path.name, unit=unit).savefig(folder.path / "curves.png")
    except (InputError, OSError) as error:
        return f"no curves.png: {error}"
    return f"curves: {folder.path / 'curves.png'}"


class Opened(NamedTuple):
    """A run that exists."""

    task: Task
    config: Any
    folder: RunFolder


def open_existing(path: str) -> Opened:
    """A run to use, its configuration read back strictly."""
    folder, identity = read_run(path)
    if identity.task not in TASKS:
        raise InputError(f"{folder.config}: `{identity.task}` is no task. {nearest(identity.task, TASKS)}")
    task = TASKS[identity.task]
    return Opened(task, from_dict(task.kind(identity.preset), identity.config, where=str(folder.config)), folder)


def task_named_in(words: Sequence[str]) -> Task | None:
    """The task of the word that is the folder of a run; None if there is none, which opening it will refuse.

    A word behind a flag may be another run's, of which the flag speaks: it counts where no other is one.
    """
    for _, word in sorted(zip(_behind_flags(words), words, strict=True), key=lambda pair: pair[0]):
        with contextlib.suppress(InputError, OSError):
            return TASKS.get(read_run(word)[1].task)
    return None


def _behind_flags(words: Sequence[str]) -> list[bool]:
    return [before.startswith("--") and "=" not in before for before in ["", *words][: len(words)]]


def check_run(verb: str, words: Sequence[str], task: Task | None) -> None:
    """Refuse a folder that is no run before the flags behind it, which are those of its task, are read.

    The first word of all is the folder; behind flags, one that stands behind no flag, where no other names a run.
    """
    of_a_run = verb in ("evaluate", "inspect") or any(verb in other.verbs for other in TASKS.values())
    bare = [word for behind, word in zip(_behind_flags(words), words, strict=True) if not behind and word[:1] != "-"]
    if task is not None:
        bare = [word for word in words[:1] if word[:1] != "-"]
    if of_a_run and bare and not {"-h", "--help"} & set(words):
        read_run(bare[0])


@contextlib.contextmanager
def advising(verb: str, words: Sequence[str]) -> Iterator[None]:
    """Refuse at once what the task of a run cannot do, and mend advice that is no good for this verb.

    Data is read by the same functions wherever it is read, and some of their advice is for whoever trains: where
    ``evaluate`` and ``predict`` do not have the flags that a refusal names, it says so.
    """
    task = None if verb == "train" else task_named_in(words)
    check_run(verb, words, task)
    if task and any(verb in other.verbs for other in TASKS.values()):
        check_verb(task, verb)
    try:
        yield
    except InputError as error:
        advice = re.sub(
            r"[Tt]rain (one )?with [^.]*--\S+|\S+ when it was trained", "", str(error)
        )  # which says so itself
        named = dict.fromkeys(re.findall(r"--(?:data|model)\.[a-z.-]*[a-z]", advice))
        own = _data_flags(task, verb, words) if task else set()
        others = [flag for flag in named if flag not in own]
        if task is None or verb not in ("evaluate", "predict") or not others or str(error).startswith(f"{verb}:"):
            raise
        many = "are flags" if len(others) > 1 else "is a flag"
        raise InputError(
            f"{error}\n({' and '.join(others)} {many} of training; {verb} reads as the run was trained to.)"
        ) from None


def _data_flags(task: Task, verb: str, words: Sequence[str]) -> set[str]:
    """The flags ``--data.*`` of ``evaluate`` or ``predict`` that are of use beside these words."""
    if verb == "predict":
        known, always = getattr(task.predicted, "data", None), set()
    else:
        others_files = any(word.startswith("--data.path") for word in words)  # else its flags are of no use
        known, always = task.evaluated if others_files else None, {"--data.path"}
    fields = dataclasses.fields(known) if known is not None else ()
    return {f"--data.{field.name.replace('_', '-')}" for field in fields} | always


def trained(run: Opened):
    """What the task's own verbs work on: the best model of a run."""
    return run.task.use(run.config, run.folder, lambda shapes: best_params(run.config, run.folder, shapes)[0])


def trained_shapes(run: Opened):
    """The shapes of a run's parameters, without reading a checkpoint."""
    return run.task.use(run.config, run.folder, lambda shapes: shapes).params


def best_of(run: Opened) -> tuple[Any, int]:
    """The best parameters of a run, and their step."""
    return best_params(run.config, run.folder, trained_shapes(run))


def verb_of(run: Opened, verb: str):
    """What a verb does for the task of a run."""
    check_verb(run.task, verb)
    return run.task.verbs[verb]


def check_verb(task: Task, verb: str) -> None:
    """Refuse a verb that a task does not have."""
    if verb not in task.verbs:
        raise InputError(f"{verb}: a run of the task {task.name} cannot do this. It can: {', '.join(task.verbs)}.")
