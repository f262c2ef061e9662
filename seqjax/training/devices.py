"""Where arrays live: states replicated in their natural shape, batches and carries split by rows."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqjax.checks import InputError
from seqjax.training.state import AXIS, STATE, TrainState

T = TypeVar("T")
Devices = Sequence[jax.Device]


def join_cluster() -> None:
    """Join the other processes of this run: ``--distributed``.

    Clusters that jax knows (SLURM, Kubernetes, Open MPI, cloud TPUs) need nothing more. Elsewhere set
    ``JAX_COORDINATOR_ADDRESS``, ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID``.

    Raises:
        InputError: no cluster can be found.
    """
    import os

    def number(name: str) -> int | None:
        value = os.environ.get(name)
        return None if value is None else int(value)

    try:
        jax.distributed.initialize(num_processes=number("JAX_NUM_PROCESSES"), process_id=number("JAX_PROCESS_ID"))
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"--distributed: no cluster was found ({str(error).splitlines()[0]}). "
            "Set JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES and JAX_PROCESS_ID, or leave --distributed out "
            "on a single machine."
        ) from error


def writer_first(action: Callable[[bool], T]) -> T:
    """Call ``action(writer)`` in process 0, and only then in the others, which so find the files that it wrote.

    When process 0 refuses, they all do: nobody waits for a process that has left.

    Example:
        >>> writer_first(lambda writer: "wrote" if writer else "read")
        'wrote'
    """
    if jax.process_count() == 1:
        return action(True)
    refusal, result = None, None
    if jax.process_index() == 0:
        try:
            result = action(True)
        except InputError as error:
            refusal = error
    refused = bool(multihost_utils.broadcast_one_to_all(np.int32(refusal is not None)))
    if refused:
        raise refusal or InputError(f"process {jax.process_index()}: process 0 refused; its message says why.")
    return result if jax.process_index() == 0 else action(False)  # type: ignore[return-value]


def check_rows(rows: int, accumulate: int = 1) -> None:
    """Refuse a batch that does not split evenly over all devices and micro-batches."""
    devices = jax.device_count()
    parts = devices * accumulate
    if accumulate < 1 or rows < 1 or rows % parts:
        raise InputError(
            f"batch: --batch-size should be a multiple of {parts} ({devices} devices × {accumulate} micro-batches), "
            f"but it is {rows}. Try --batch-size {max(1, round(rows / max(parts, 1))) * max(parts, 1)}."
        )


def fitting(rows: int) -> list[jax.Device]:
    """As many of this process's devices as share the rows evenly; with several processes, all of them.

    Example:
        >>> len(fitting(1))
        1
    """
    devices = jax.local_devices()
    if jax.process_count() > 1:
        return devices
    return devices[: max(count for count in range(1, len(devices) + 1) if rows % count == 0)]


def place(state: TrainState, devices: Devices | None = None) -> TrainState:
    """Put a host state onto this process's devices: all of it on each, the carry split by rows.

    ``state.carry`` holds the global batch, leaves (rows, ·); on the devices it is (local devices, rows each, ·).
    A step gives its state's memory up: use what this returns, no longer ``state``.
    """
    carry = place_rows(state.carry, devices)
    return place_whole(state._replace(carry=None), devices)._replace(carry=carry)


def place_whole(tree, devices: Devices | None = None):
    """All of a tree on each of this process's devices; what is there already stays."""
    mesh = Mesh(np.array(devices or jax.local_devices()), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def on_first(tree):
    """A tree on the first of this process's devices, once: a compiled function copies NumPy's arrays at each call."""
    return place_whole(tree, jax.local_devices()[:1])


def place_rows(tree, devices: Devices | None = None):
    """The rows of a global batch, each device its share: :func:`local_rows` where they are computed on."""
    mesh = Mesh(np.array(devices or jax.local_devices()), (AXIS,))
    return jax.device_put(local_rows(tree, devices), NamedSharding(mesh, PartitionSpec(AXIS)))


def local_rows(batch, devices: Devices | None = None):
    """This process's rows of a global batch, leaves (rows, ·) to (local devices, rows each, ·).

    Raises:
        InputError: the rows do not split evenly over all devices.
    """
    local, processes = len(devices or jax.local_devices()), jax.process_count()

    def cut(leaf):
        share, rest = divmod(leaf.shape[0], processes * local)
        if rest:
            raise InputError(
                f"batch: its rows should be a multiple of {processes * local}, one share a device, "
                f"but they are {leaf.shape[0]}."
            )
        mine = np.asarray(leaf).reshape(processes, local, share, *leaf.shape[1:])
        return mine[jax.process_index()]

    return jax.tree.map(cut, batch)


def global_carry(carry):
    """The carry of all processes as one host array a leaf, (rows, ·)."""

    def gather(leaf):
        rows = np.array(leaf).reshape(-1, *leaf.shape[2:])
        if jax.process_count() == 1:
            return rows
        return np.asarray(multihost_utils.process_allgather(rows, tiled=True))

    return jax.tree.map(gather, carry)


def fetch(state: TrainState) -> TrainState:
    """A copy of the state on the host, its carry as one global batch: what a checkpoint holds."""
    carry = global_carry(state.carry)
    return jax.tree.map(np.array, state._replace(carry=None))._replace(carry=carry)


def check_replicas(state: TrainState) -> None:
    """Refuse to go on when devices hold different parameters: a sign of broken hardware or a bug."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(state._replace(carry=STATE.params)):
        first, *others = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        if any(not np.array_equal(first, other, equal_nan=True) for other in others):
            raise RuntimeError(f"devices hold different values of {jax.tree_util.keystr(path)}: do not trust this run")
