"""Visits that are made up: doses of a drug, and whether much of it is in the blood in the end."""

import numpy as np

from seqjax.data.series_config import VisitsConfig

COLUMNS = ("dose", "pulse", "age", "sex")
GAP = 1.0, 60.0  # days between two visits, the logarithm of which is uniform


def make_visits(config: VisitsConfig) -> tuple[list[str], list[list[str]]]:
    """A table: the names of its columns, and a row a visit.

    At each visit somebody gets a dose, of which half is gone after ``half_life`` days. Whoever has more than the median
    in the blood after the last dose is ``high``, the others ``low``. Pulse, age and sex tell nothing; a tenth of the
    pulses was not taken.

    Example:
        >>> columns, rows = make_visits(VisitsConfig())
        >>> columns
        ['id', 'time', 'label', 'dose', 'pulse', 'age', 'sex']
        >>> len({row[0] for row in rows}), sorted({row[2] for row in rows})
        (1200, ['high', 'low'])
    """
    made = config.made
    random = np.random.default_rng(made.seed)
    people, levels = [], []
    for _ in range(made.people):
        visits = random.integers(min(4, made.longest), made.longest, endpoint=True)
        gaps = np.exp(random.uniform(np.log(GAP[0]), np.log(GAP[1]), size=int(visits))).round(1)
        doses, level = random.gamma(2.0, 10.0, size=visits).round(1), 0.0
        for gap, dose in zip(gaps, doses, strict=True):
            level = level * 0.5 ** (gap / made.half_life) + dose
        people.append((np.cumsum(gaps) - gaps[0], doses))
        levels.append(level)
    middle, rows = np.median(levels), []
    for number, ((times, doses), level) in enumerate(zip(people, levels, strict=True), 1):
        age, sex = f"{random.normal(60, 12):.0f}", "fm"[random.integers(2)]
        for time, dose in zip(times, doses, strict=True):
            pulse = "" if random.random() < 0.1 else f"{random.normal(75, 10):.0f}"
            label = "high" if level > middle else "low"
            rows.append([str(number), f"{time:.1f}", label, f"{dose:.1f}", pulse, age, sex])
    return [config.id, config.time, config.label, *COLUMNS], rows
