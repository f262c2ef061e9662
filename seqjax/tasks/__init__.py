"""Tasks: each binds a configuration, data, a model, a loss, metrics and ways to use what was trained."""

from seqjax.tasks.contract import Task as Task
from seqjax.tasks.lm import LM
from seqjax.tasks.tag import TAG
from seqjax.tasks.translate import TRANSLATE

TASKS: dict[str, Task] = {task.name: task for task in (LM, TAG, TRANSLATE)}
