"""What the configurations of attention models have in common: which numbers and names they refuse."""

from seqjax.checks import InputError, check_choice, check_count, check_share
from seqjax.layers.attention import head_sizes
from seqjax.layers.blocks import PLACES
from seqjax.layers.feed_forward import ACTIVATIONS
from seqjax.layers.normalization import NORMS

CHOICES = {"norm": NORMS, "place": PLACES, "activation": ACTIVATIONS}


def check_blocks(config, positions: tuple[str, ...], **least: int) -> None:
    """Refuse a shape of blocks that cannot be built.

    Args:
        config: has ``features``, ``heads``, ``dropout``, ``positions``, ``norm``, ``place`` and ``activation``.
        positions: the names it may choose from.
        least: the smallest value of other fields.

    Raises:
        InputError: with the field, what it should be, what it is, and what to try.
    """
    where = type(config).__name__
    head_sizes(where, config.features, config.heads, getattr(config, "kv_heads", 0) or None)
    for name, value in least.items():
        check_count(where, name, getattr(config, name), value)
    check_share(where, "dropout", config.dropout)
    for name, choices in (CHOICES | {"positions": positions}).items():
        check_choice(where, name, getattr(config, name), choices)
    if config.positions == "rotary" and config.features // config.heads % 2:
        raise InputError(
            f"{where}: rotary positions turn pairs of features, but the head width is "
            f"features / heads = {config.features // config.heads}. Try heads={max(1, config.heads // 2)}."
        )
