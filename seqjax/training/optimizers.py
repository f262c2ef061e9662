"""Optimisers by optax's own names, and schedules of the learning rate."""

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from seqjax.checks import MOST, InputError, check_choice

BETTER = 1e-4  # a plateau: by how much of the best loss another has to lie below it
Schedule = Literal["constant", "cosine", "inverse-sqrt", "linear", "plateau"]


@functools.cache
def known_optimizers() -> tuple[str, ...]:
    """Every optimiser of optax that is made from a learning rate alone, which may follow a schedule."""

    def fits(name: str) -> bool:
        thing = getattr(optax, name)
        if not callable(thing) or inspect.isclass(thing) or name.startswith(("_", "scale_by_")):
            return False
        if name in ("lbfgs", "noisy_sgd"):  # one wants the loss as a function too, one keeps a random key, no numbers
            return False
        try:
            given = inspect.signature(thing).parameters
        except ValueError:
            return False
        needed = {name for name, p in given.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
        kinds = typing.get_args(given["learning_rate"].annotation) if "learning_rate" in given else ()
        return needed <= {"learning_rate"} and any(typing.get_origin(kind) is Callable for kind in kinds)

    return tuple(name for name in dir(optax) if fits(name))


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How parameters are updated."""

    name: str = "adam"  # an optax optimiser: adam, adamw, sgd, adagrad, lion, …
    learning_rate: float = 3e-3  # the highest of the schedule
    options: dict[str, float] = dataclasses.field(default_factory=dict)  # the optimiser's own, e.g. b2 0.99
    schedule: Schedule = "cosine"  # after the warm-up
    warmup: int = 0  # steps of linear warm-up
    horizon: int | None = None  # steps until the cosine, or the line, ends; default: the run's steps
    final: float = 0.0  # the last learning rate of the cosine or the line, as a fraction of the highest
    patience: int = 2  # plateau: evaluations without improvement before a cut; 0 is 1
    factor: float = 0.5  # plateau: what the learning rate is multiplied by
    clip: float = 1.0  # largest global norm of the gradient; 0: no clipping

    def __post_init__(self):
        if not (math.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise InputError(
                f"--optimizer.learning-rate should be a finite number at or above 0, but it is {self.learning_rate}. "
                "Try 0.003."
            )
        check_choice("OptimizerConfig", "name", self.name, known_optimizers())
        if not (math.isfinite(self.clip) and self.clip >= 0):
            raise InputError(f"--optimizer.clip should be a finite norm, or 0 for none, but it is {self.clip}.")
        check_choice("OptimizerConfig", "schedule", self.schedule, typing.get_args(Schedule))
        if not 0 <= self.final <= 1:
            raise InputError(
                f"--optimizer.final should be a fraction of the learning rate, in [0, 1], but it is {self.final}."
            )
        if not 0 <= self.warmup < MOST or (self.horizon is not None and not 1 <= self.horizon < MOST):
            raise InputError(
                f"--optimizer: warmup and horizon count steps, but they are {self.warmup} and {self.horizon}."
            )
        if not 0 < self.factor <= 1 or self.patience < 0:
            raise InputError(
                f"--optimizer: factor should lie in (0, 1] and patience at or above 0, "
                f"but they are {self.factor} and {self.patience}."
            )
        known = [p for p in inspect.signature(getattr(optax, self.name)).parameters if p != "learning_rate"]
        for option, value in self.options.items():
            check_choice(f"--optimizer.options: optax.{self.name}", "option", option, known)
            if not math.isfinite(value):
                raise InputError(f"--optimizer.options: `{option}` should be a finite number, but it is {value}.")
        try:
            getattr(optax, self.name)(learning_rate=self.learning_rate, **self.options)
        except (TypeError, ValueError) as error:  # an option that is no number, such as a type
            given = ", ".join(f"{option} {value:g}" for option, value in self.options.items())
            raise InputError(f"--optimizer.options: optax.{self.name} does not take {given}: {error}.") from None


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Clipping by global norm, then the optimiser on its schedule; what stands below a key ``frozen`` is let alone.

    Args:
        config: which.
        steps: the cosine's horizon when ``config.horizon`` is None.
    """
    rate = make_schedule(config, config.horizon or steps)
    optimizer = getattr(optax, config.name)(learning_rate=rate, **config.options)
    whole = optax.chain(optax.clip_by_global_norm(config.clip), optimizer) if config.clip else optimizer
    return leave_frozen(whole)


def leave_frozen(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same optimiser for all but what stands below a key ``frozen``, which it never sees: no moments, no decay.

    Example:
        >>> params = {"words": {"frozen": {"table": 1.0}}, "kernel": 2.0}
        >>> optimizer = leave_frozen(optax.sgd(0.5))
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> float(updates["kernel"]), updates["words"]["frozen"]["table"]
        (-1.0, 0.0)
    """

    def update(gradients, state, params=None):
        trained, state = optimizer.update(_thawed(gradients), state, None if params is None else _thawed(params))
        return _filled(trained, gradients), state

    return optax.GradientTransformation(lambda params: optimizer.init(_thawed(params)), update)


def _thawed(tree):
    """Without what is frozen."""
    if isinstance(tree, list | tuple):
        return _rebuilt(tree, [_thawed(value) for value in tree])
    if not isinstance(tree, dict):
        return tree
    return {name: _thawed(value) for name, value in tree.items() if name != "frozen"}


def _rebuilt(like, values: list):
    """A list, a tuple or a NamedTuple as ``like``, of other values."""
    return jax.tree.unflatten(jax.tree.structure(like, is_leaf=lambda node: node is not like), values)


def _filled(updates, like):
    """With zeros for what is frozen in ``like``."""
    if isinstance(like, list | tuple):
        return _rebuilt(like, [_filled(update, value) for update, value in zip(updates, like, strict=True)])
    if not isinstance(like, dict):
        return updates
    zeros = {"frozen": jax.tree.map(lambda leaf: leaf * 0, like["frozen"])} if "frozen" in like else {}
    return {name: _filled(updates[name], value) for name, value in like.items() if name != "frozen"} | zeros


def make_schedule(config: OptimizerConfig, horizon: int) -> optax.Schedule:
    """The learning rate as a function of the number of updates; after ``horizon`` it keeps its last value.

    Source:
        Loshchilov & Hutter (2017) for the cosine; Vaswani et al. (2017) for the inverse square root.

    Example:
        >>> schedule = make_schedule(OptimizerConfig(learning_rate=1.0, warmup=2), horizon=10)
        >>> [round(float(schedule(step)), 2) for step in (0, 1, 2, 6, 10, 99)]
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    peak, warmup = config.learning_rate, config.warmup
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(1, horizon - warmup), config.final)
    elif config.schedule == "linear":
        after = optax.linear_schedule(peak, peak * config.final, max(1, horizon - warmup))
    elif config.schedule == "inverse-sqrt":
        offset = max(1, warmup)
        after = lambda count: peak * jnp.sqrt(offset / (count + offset))  # noqa: E731
    else:
        after = optax.constant_schedule(peak)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup]) if warmup else after


def make_plateau(config: OptimizerConfig) -> optax.GradientTransformationExtraArgs:
    """Reduce on plateau, fed with one validation loss an evaluation; ``state.scale`` is the factor to use.

    A loss is better that lies below the best by more than a ten-thousandth of it, whatever its sign. (In optax, whose
    state this is, a loss below 0 that stays what it is counts as better each time.)

    Example:
        >>> plateau = make_plateau(OptimizerConfig(schedule="plateau", patience=1, factor=0.5))
        >>> state = plateau.init({"w": jnp.ones(1)})
        >>> for loss in (-1.0, -2.0, -2.0):
        ...     _, state = plateau.update({}, state, value=loss)
        >>> float(state.scale)
        0.5
    """

    def update(updates, state, params=None, *, value):
        least = state.best_value * jnp.where(state.best_value < 0, 1 + BETTER, 1 - BETTER)
        value = jnp.asarray(value, state.best_value.dtype)
        stale = jnp.where(value < least, 0, state.plateau_count + 1)
        cut = stale >= max(1, config.patience)
        state = state._replace(
            best_value=jnp.where(value < least, value, state.best_value),
            scale=jnp.where(cut, state.scale * config.factor, state.scale),
            plateau_count=jnp.where(cut, 0, stale),
        )
        return jax.tree.map(lambda leaf: leaf * state.scale, updates), state

    return optax.GradientTransformationExtraArgs(optax.contrib.reduce_on_plateau().init, update)
