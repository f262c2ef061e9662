"""The ``seqjax`` command: few verbs, the same for every task, over the folder of a run."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from seqjax.checks import InputError, nearest
from seqjax.process import exit_with


def main() -> None:
    """Entry point of the console command."""
    exit_with(command, sys.argv[1:])


def command(arguments: list[str]) -> int:
    """``seqjax VERB …``."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if arguments[0] == "--version":
        from seqjax.version import __version__

        print(__version__)
        return 0
    from seqjax.tasks.session import advising

    verb, *rest = arguments
    with advising(verb, rest):
        return VERBS[verb](rest) or 0 if verb in VERBS else of_one_task(verb, rest)


def of_one_task(verb: str, arguments: list[str]) -> int:
    """A verb that is peculiar to one task, with the flags that the task gives it; lines come out."""
    from seqjax.tasks import TASKS
    from seqjax.tasks.session import open_existing, trained, verb_of

    own = {name: flags for task in TASKS.values() for name, flags in task.own.items()}
    if verb not in own:
        raise InputError(f"`{verb}` is no verb of seqjax. {nearest(verb, [*VERBS, *own])}")
    options = parse(own[verb], arguments, verb)
    run = open_existing(options.run)
    work = verb_of(run, verb)
    for line in work(trained(run), options):
        print(line, flush=True)
    return 0


def parse(kind: type, arguments: Sequence[str], verb: str):
    """Read a verb's options."""
    from seqjax.tasks.flags import parse_flags

    return parse_flags(kind, arguments, program=f"seqjax {verb}")


def of_a_run(flags: type) -> type:
    """The same flags, and the folder of the run before them."""

    @dataclasses.dataclass(frozen=True)
    class OfARun(flags):
        run: Annotated[str, _folder()]  # folder of the run

    OfARun.__doc__ = flags.__doc__
    return OfARun


def train(arguments: list[str]) -> int:
    """Train, or continue: what ``python train.py`` does."""
    from seqjax.tasks.command import read_command
    from seqjax.tasks.session import begin, finish, session

    wanted = read_command(arguments, program="seqjax train")
    with session(wanted) as (folder, recorder):
        trainer = begin(wanted, folder, recorder)
        return finish(trainer.run(recorder), wanted, trainer, recorder)


def _folder(name: str = "RUN"):
    import tyro

    return tyro.conf.arg(metavar=name)


def evaluate(arguments: list[str]) -> None:
    """Metrics of the best checkpoint."""
    from seqjax.tasks.contract import DataOption
    from seqjax.tasks.data_files import changed_files, naming_own_files
    from seqjax.tasks.session import best_of, open_existing, task_named_in
    from seqjax.training.journal import as_json
    from seqjax.training.progress import Reporter

    files = task.evaluated if (task := task_named_in(arguments)) else DataOption

    @dataclasses.dataclass(frozen=True)
    class Evaluate:
        """Evaluate the best checkpoint of a run on its test split, or on other files."""

        run: Annotated[str, _folder()]  # folder of the run
        data: files = files()
        json: bool = False  # print one JSON object

    options = parse(Evaluate, arguments, "evaluate")
    run = open_existing(options.run)
    params, step = best_of(run)
    if not files_in(options.data) and (others := changed_files(run.config, run.folder)):
        print(others, file=sys.stderr)
    given = " ".join(files_in(options.data))
    with contextlib.nullcontext() if given else naming_own_files(run.config):
        metrics = run.task.evaluate(run.config, run.folder, params, options.data)
    if options.json:
        print(as_json({"step": step} | ({"path": given} if given else {"split": "test"}) | metrics))
        return
    rows = [metrics] if len(metrics) <= 6 else [{"metric": name, "value": value} for name, value in metrics.items()]
    Reporter(run.config.steps).table(f"{run.folder.path}, step {step:,}: {given or 'test split'}", rows)


def files_in(data) -> list[str]:
    """The files that an object of ``Task.evaluated`` names."""
    found = [getattr(data, name, ()) for name in ("path", "similarity", "analogies")]
    return [name for names in found for name in ([names] if isinstance(names, str) else names) if name]


def generate(arguments: list[str]) -> None:
    """Write text, streaming to the terminal; for other tasks, what they make."""
    from seqjax.tasks.session import open_existing, task_named_in, trained, verb_of

    if (task := task_named_in(arguments)) and task.generated:
        make(arguments, task.generated)
        return

    @dataclasses.dataclass(frozen=True)
    class Generate:
        """Write on from a prompt with the best checkpoint of a run."""

        run: Annotated[str, _folder()]  # folder of the run
        prompt: str = ""  # what the text starts with
        max_tokens: int = 400  # symbols written at most; the text may end before
        temperature: float = 0.8  # below 1 more careful, above 1 more daring
        top_k: int | None = None  # draw among the k likeliest symbols only
        top_p: float | None = None  # draw among the likeliest symbols that together have this probability
        min_p: float | None = None  # leave out symbols below this fraction of the likeliest one's probability
        repetition_penalty: float = 1.0  # above 1, symbols that stood already become less likely
        greedy: bool = False  # always the likeliest symbol
        seed: int = 0  # another seed, another text
        samples: int = 1  # texts, drawn at once; more than one are printed when all have ended

    options = parse(Generate, arguments, "generate")
    from seqjax.ops.sampling import Sampling

    if options.max_tokens < 1:
        raise InputError(f"generate: --max-tokens should be at least 1, but it is {options.max_tokens}.")
    if not 0 <= options.seed < 2**31:
        raise InputError(f"generate: --seed should lie in [0, 2^31), but it is {options.seed}.")
    sampling = Sampling(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Sampling)})
    run = open_existing(options.run)
    write = verb_of(run, "generate")
    if options.samples != 1:
        from seqjax.tasks.lm_use import several

        print(several(trained(run), options.prompt, options.max_tokens, options.seed, sampling, options.samples))
        return
    pieces = write(trained(run), options.prompt, options.max_tokens, options.seed, sampling)
    first = next(pieces, "")  # a prompt that cannot be read is refused before anything is printed
    print(options.prompt + first, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


def make(arguments: list[str], flags: type) -> None:
    """What a task generates that is not text, with the flags that the task gives the verb; lines about it come out."""
    from seqjax.tasks.session import open_existing, trained, verb_of

    options = parse(of_a_run(flags), arguments, "generate")
    run = open_existing(options.run)
    for line in verb_of(run, "generate")(trained(run), options):
        print(line, flush=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnyRun:
    """One line out for each line in. The flags depend on the run: seqjax predict RUN --help."""


def predict(arguments: list[str]) -> None:
    """One line out for each line in: translations, labels, tags, … as the task of the run has it."""
    from seqjax.tasks.session import open_existing, task_named_in, trained, verb_of

    task = task_named_in(arguments)
    flags = task.predicted if task and task.predicted else AnyRun
    options = parse(of_a_run(flags), arguments, "predict")
    run = open_existing(options.run)
    made = verb_of(run, "predict")(trained(run), read_lines(), options)
    for line in made:
        print(line, flush=True)


def score(arguments: list[str]) -> None:
    """Log-probability and perplexity of each line of standard input."""
    from seqjax.tasks.session import open_existing, trained, verb_of
    from seqjax.training.journal import as_json

    @dataclasses.dataclass(frozen=True)
    class Score:
        """Log-probability (nats) and perplexity (per symbol) of each line of standard input, tab-separated."""

        run: Annotated[str, _folder()]  # folder of the run
        json: bool = False  # one JSON object a line

    options = parse(Score, arguments, "score")
    run = open_existing(options.run)
    scored = verb_of(run, "score")
    lines = read_lines()
    for line, row in zip(lines, scored(trained(run), lines), strict=True):
        if options.json:
            print(as_json({"line": line} | row._asdict()))
        else:
            print(f"{row.log_probability:.4f}\t{row.perplexity:.4f}\t{line}")


def read_lines() -> list[str]:
    """The lines of standard input; a byte order mark before the first is none of its text, as in files."""
    data = sys.stdin.buffer.read()
    try:
        lines = data.decode("utf-8").removeprefix("\ufeff").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"standard input: byte {error.start} is not UTF-8. Convert it first.") from None
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def inspect(arguments: list[str]) -> None:
    """Configuration, parameters and checkpoints of a run."""
    from seqjax.tasks.inspection import describe

    @dataclasses.dataclass(frozen=True)
    class Inspect:
        """Show the configuration, the parameters and the checkpoints of a run, and whether they verify."""

        run: Annotated[str, _folder()]  # folder of the run
        positions: str = ""  # folder for a picture of every encoding of positions

    options = parse(Inspect, arguments, "inspect")
    page = describe(options.run)
    if options.positions:
        from seqjax.tasks.positions import save_positions

        files = save_positions(options.run, Path(options.positions))
        page += "\n\npictures\n" + "\n".join(f"  {file}" for file in files)
    print(page)


def import_files(arguments: list[str]) -> None:
    """A model of another program becomes a run."""
    from seqjax.tasks import imported

    @dataclasses.dataclass(frozen=True)
    class Import:
        """Make a run of lm or mlm from a GPT-2 or a BERT in the transformers library's files (extra `pretrained`)."""

        files: Annotated[str, _folder("FOLDER")]  # folder with config.json, model.safetensors and a tokenizer's files
        out: str = ""  # folder of the run that is made; default: runs/FOLDER

    options = parse(Import, arguments, "import")
    out = options.out or f"runs/{Path(options.files).resolve().name}"
    print(*imported.import_files(options.files, out), sep="\n")


VERBS: dict[str, Callable[[list[str]], int | None]] = {
    "train": train,
    "evaluate": evaluate,
    "generate": generate,
    "predict": predict,
    "score": score,
    "inspect": inspect,
    "import": import_files,
}
USAGE = """seqjax: train sequence models, and use them

  seqjax train [TASK] [PRESET] [--flags]     train, or continue a run: the same as python train.py
  seqjax evaluate RUN [--data.path FILE]     metrics on the test split, or on other files
  seqjax predict RUN < lines                 one line out for each line in: translations, labels, captions, …
  seqjax generate RUN [--prompt TEXT]        write on from a prompt; a run of sketch draws: --out DIR
  seqjax score RUN < lines                   log-probability and perplexity of each line
  seqjax inspect RUN                         configuration, parameters, checkpoints; --positions DIR: pictures
  seqjax import FOLDER [--out RUN]           a run from the files of a GPT-2 or a BERT

  of vectors of words:
  seqjax neighbours RUN WORD                 the words nearest to it
  seqjax analogy RUN A B C                   what is to C as B is to A
  seqjax export RUN FILE                     for other programs: word2vec text or binary, GloVe text

seqjax VERB --help shows the flags of each; RUN is the folder of a run, such as runs/lm-char-lstm."""
