"""Batches one after the other, prepared in a thread, from any place on."""

from typing import Any

from seqjax.checks import InputError
from seqjax.data.batches import Numbered

AHEAD = 4  # batches prepared before they are wanted


def iterate(dataset: Numbered, *, start_state: dict[str, Any] | None = None):
    """Go through ``dataset`` with one thread that prepares batches ahead.

    Args:
        dataset: what :func:`seqjax.data.batches` or :func:`seqjax.data.pair_batches` gives.
        start_state: what ``get_state`` gave: the next batch is the one that would have come.

    Returns:
        A ``grain.DatasetIterator``: besides ``next``, ``get_state()`` gives a dict for JSON, ``set_state(state)`` goes
        back to it, ``close()`` ends the thread.

    Raises:
        InputError: a state of something else.

    Example:
        >>> import numpy as np
        >>> from seqjax.data import DataConfig, batches
        >>> data = batches(DataConfig(length=2), [np.arange(1, 9)], rows=1, train=False)
        >>> iterator = iterate(data)
        >>> _ = next(iterator)
        >>> state = iterator.get_state()
        >>> next(iterator)["inputs"].tolist(), next(iterate(data, start_state=state))["inputs"].tolist()
        ([[2, 3]], [[2, 3]])
    """
    import grain  # half a second, which not every command needs

    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
    iterator = iter(grain.MapDataset.source(dataset).to_iter_dataset(options))
    if start_state is not None:
        try:
            iterator.set_state(start_state)
        except (KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"iterate: `start_state` should be what `get_state()` gave for this data, "
                f"but it is {start_state!r} ({error!r})."
            ) from None
    return iterator
