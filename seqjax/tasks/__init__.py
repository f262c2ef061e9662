"""Tasks: each binds a configuration, data, a model, a loss, metrics and ways to use what was trained."""

from seqjax.tasks import classify_bert as classify_bert
from seqjax.tasks import classify_elmo as classify_elmo
from seqjax.tasks import classify_pictures as classify_pictures
from seqjax.tasks import classify_visits as classify_visits
from seqjax.tasks import tag_bert as tag_bert
from seqjax.tasks import tag_copy as tag_copy
from seqjax.tasks import tag_elmo as tag_elmo
from seqjax.tasks.caption import CAPTION
from seqjax.tasks.classify import CLASSIFY
from seqjax.tasks.contract import Task as Task
from seqjax.tasks.elmo import ELMO
from seqjax.tasks.embeddings import EMBEDDINGS
from seqjax.tasks.forecast import FORECAST
from seqjax.tasks.lm import LM
from seqjax.tasks.mlm import MLM
from seqjax.tasks.parse import PARSE
from seqjax.tasks.sketch import SKETCH
from seqjax.tasks.tag import TAG
from seqjax.tasks.transcribe import TRANSCRIBE
from seqjax.tasks.translate import TRANSLATE

TASKS: dict[str, Task] = {
    task.name: task
    for task in (CAPTION, CLASSIFY, ELMO, EMBEDDINGS, FORECAST, LM, MLM, PARSE, SKETCH, TAG, TRANSCRIBE, TRANSLATE)
}
