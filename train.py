"""Train a model: python train.py [TASK] [PRESET] [--flags]

A bare `python train.py` trains a character language model on the documentation inside Python. This file is the
one to read first: every line below names a room of the library where the rest can be read.
"""

import sys

from seqjax.process import exit_with
from seqjax.tasks.command import read_command
from seqjax.tasks.session import begin, finish, session


def main(arguments: list[str]) -> int:
    # Configuration: frozen dataclasses (seqjax/tasks/lm.py); flags win over --config FILE, which wins over the preset.
    command = read_command(arguments)

    # The run: one folder with everything in it. The same command again continues it, bit for bit.
    with session(command) as (folder, recorder):
        # Data and model: text to batches (seqjax/data), a tokenizer trained on the training split, the layers
        # (seqjax/models) as pure functions, the loss. Then the step: one pmapped function for every task and any
        # number of devices (seqjax/training/step.py).
        trainer = begin(command, folder, recorder)

        # The loop: step, log, validate, write a sample, save (seqjax/training/loop.py), until the last step, the end
        # of patience, Ctrl-C or SIGTERM.
        outcome = trainer.run(recorder)

        # The best checkpoint on the test split, once.
        return finish(outcome, command, trainer, recorder)


if __name__ == "__main__":
    exit_with(main, sys.argv[1:])
