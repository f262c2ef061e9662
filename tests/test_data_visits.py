"""Tables of visits: what is read, what training alone decides, and every way in which a table goes wrong."""

import itertools

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.pictured_series import STEP, TURN, draw_film, pixel_steps, read_digits, read_films
from seqjax.data.series_config import MOTIONS, DigitsConfig, FramesConfig, MadeVisitsConfig, VisitsConfig
from seqjax.data.visit_columns import Columns, columns_to_arrays, learn_columns
from seqjax.data.visits import read_histories, read_visits

HEADER = "id,day,status,sex,bili,chol\n"
TWO = HEADER + "1,0,alive,f,1.0,\n1,7,alive,f,3.0,200\n2,0,dead,m,5.0,100\n2,30,dead,m,,100\n"


@pytest.fixture
def write(tmp_path):
    """A table in a file, and the configuration that reads it."""

    def make(text: str, **options) -> VisitsConfig:
        path = tmp_path / "visits.csv"
        path.write_text(text, encoding="utf-8")
        return VisitsConfig(path=(str(path),), **{"time": "day", "label": "status"} | options)

    return make


def read(config: VisitsConfig):
    return read_histories(config.path, config)


def test_rows_of_one_id_come_together_wherever_they_stand(write):
    lines = TWO.splitlines(keepends=True)
    found, skipped = read(write("".join([lines[0], lines[1], lines[3], lines[2], lines[4]])))
    assert [(label, series.id, series.times.tolist()) for label, series in found] == [
        ("alive", "1", [0, 7]),
        ("dead", "2", [0, 30]),
    ]
    assert (found[1].series.cells["bili"], skipped) == (["5.0", ""], 0)
    assert found[0].series.places[1].endswith("visits.csv, line 4")


def test_a_tab_may_be_typed_as_a_backslash_and_a_t(write):
    tabbed = write(TWO.replace(",", "\t"), separator=r"\t")
    assert [label for label, _ in read(tabbed)[0]] == ["alive", "dead"]


def test_numbers_are_scaled_and_what_is_missing_is_masked(write, tmp_path):
    config = write(TWO, elapsed=True)
    histories = [series for _, series in read(config)[0]]
    columns = learn_columns(config, histories)
    assert columns.features == ["sex=f", "sex=m", "bili", "bili measured", "chol", "chol measured"]
    found = [columns_to_arrays(columns, config, history) for history in histories]
    values = np.array([1.0, 3.0, 5.0])
    xs = np.concatenate([arrays["xs"] for arrays in found])
    np.testing.assert_allclose(xs[:, 2], [*(values - 3) / values.std(), 0], atol=1e-6)
    assert xs[:, 3].tolist() == [1, 1, 1, 0]
    assert (xs[0, 4], xs[0, 5]) == (0, 0)
    np.testing.assert_allclose(columns.unit, 18.5)  # the median of 7 and 30
    np.testing.assert_allclose(found[1]["elapsed"][:, 0], [0, 30 / 18.5], rtol=1e-6)
    np.testing.assert_allclose(xs[:, 6].mean(), 0, atol=1e-6)
    columns.save(tmp_path / "scaling.json")
    assert Columns.load(tmp_path / "scaling.json") == columns
    other = histories[0]._replace(cells=histories[0].cells | {"sex": ["x", ""], "bili": ["1e9", "-1e9"]})
    strange = columns_to_arrays(columns, config, other)["xs"]
    assert strange[:, :2].sum() == 0  # a category never seen, and none
    assert strange[:, 2].tolist() == [5, -5]


def test_dates_are_days_since_the_first_visit_of_an_id(write):
    dated = TWO
    for day, date in (("1,0,", "1,2024-02-28,"), ("1,7,", "1,2024-03-06,"), ("2,0,", "2,2023-12-31,")):
        dated = dated.replace(day, date)
    dated = dated.replace("2,30,", "2,2024-01-30T00:00,")
    found, same = (read(write(text))[0] for text in (dated, TWO))
    assert [series.times.tolist() for _, series in found] == [series.times.tolist() for _, series in same]
    with pytest.raises(InputError, match=r"line 6.*two visits at day 2024-01-30 "):
        read(write(dated + "2,2024-01-30,dead,m,1,1\n"))
    with pytest.raises(InputError, match="'7' should be an ISO date like those before it"):
        read(write(dated + "3,7,dead,m,1,1\n"))


def test_scaling_comes_from_the_training_ids_alone():
    config = VisitsConfig(made=MadeVisitsConfig(people=40))
    train = [series for _, series in read_visits(config).train]
    doses = [float(cell) for history in train for cell in history.cells["dose"]]
    dose = next(column for column in learn_columns(config, train).columns if column.name == "dose")
    np.testing.assert_allclose([dose.mean, dose.scale], [np.mean(doses), np.std(doses)])


def test_splits_are_by_id_and_hold_their_share_of_each_class():
    splits = read_visits(VisitsConfig(made=MadeVisitsConfig(people=200)))
    ids = [{series.id for _, series in part} for part in splits[:3]]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 200
    for part in splits[:3]:
        assert abs(np.mean([label == "high" for label, _ in part]) - 0.5) < 0.05


def row(text: str) -> str:
    """The table with one line more."""
    return TWO + text


@pytest.mark.parametrize(
    "text, options, words",
    [
        (TWO, {"label": "staus"}, ["no column 'staus' (--data.label)", "Did you mean `status`"]),
        (TWO, {"leave_out": ("bilirubin",)}, ["--data.leave-out", "Did you mean `bili`"]),
        (row("3,0,dead,f,1,1\n"), {}, ["line 6", "'3' has one visit", "--data.skip-short"]),
        (row("3,0,dead,f,1,1\n3,x,dead,f,1,1\n"), {}, ["line 7, column 'day'", "'x' is no number"]),
        (row("3,2024-01-01,dead,f,1,1\n"), {}, ["'2024-01-01' is no number", "days since the first visit"]),
        (TWO.replace("1,0,", "1,01/31/2024,"), {}, ["line 2", "'01/31/2024' is no number", "year-month-day"]),
        (row("3,5,dead,f,1,1\n3,2,dead,f,1,1\n"), {}, ["line 7", "in the order of time", "--data.sort"]),
        (row("3,5,dead,f,1,1\n3,5,dead,f,1,1\n"), {"sort": True}, ["line 7", "two visits at day 5", "line 6"]),
        (row("3,0,dead,f,1,1\n3,1,alive,f,1,1\n"), {}, ["line 7, column 'status'", "'alive'", "'dead'"]),
        (row("3,0,dead,f,1,1\n3,1,dead,m,1,1\n"), {"static": ("sex",)}, ["line 7, column 'sex'", "'m'"]),
        (row("3,0,dead,f,1\n"), {}, ["line 6 has 5 cells", "6 columns"]),
        (row(",0,dead,f,1,2\n"), {}, ["line 6 has no id"]),
        (row("3,0,,f,1,1\n3,1,,f,1,1\n"), {}, ["'3' has no status"]),
        (HEADER.replace("chol", "bili"), {}, ["two columns 'bili'"]),
        (HEADER, {}, ["no visits to read"]),
    ],
)
def test_a_table_that_cannot_be_is_refused(write, text, options, words):
    with pytest.raises(InputError) as refused:
        read(write(text, **options))
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    "changed, words",
    [
        (
            {"bili": ["1.0", "3,5"]},
            ["visits.csv, line 3, column 'bili'", "'3,5' is no number", "--data.categories bili"],
        ),
        ({"bili": ["1.0", "inf"]}, ["'inf' is no number"]),
        ({"hospital": ["A", "A"]}, ["'hospital' tells nothing", "always 'A'", "--data.leave-out hospital"]),
        ({"hospital": ["", ""]}, ["it has no value"]),
    ],
)
def test_a_column_that_cannot_be_is_refused(write, changed, words):
    config = write(TWO)
    history = read(config)[0][0].series
    with pytest.raises(InputError) as refused:
        learn_columns(config, [history._replace(cells=history.cells | {"sex": ["f", "m"]} | changed)])
    assert all(word in str(refused.value) for word in words), refused.value


def test_who_came_once_is_skipped_when_asked_and_counted(write):
    found, skipped = read(write(row("3,0,dead,f,1,1\n"), skip_short=True))
    assert (len(found), skipped) == (2, 1)


def test_one_class_and_a_class_of_one_are_refused(write):
    for old, new, words in (("dead", "alive", "nothing to tell apart"), ("", "", "has one id")):
        with pytest.raises(InputError, match=words):
            read_visits(write(TWO.replace(old, new)))
    with pytest.raises(InputError, match="is `label`, so it cannot be in `leave_out`"):
        write(TWO, leave_out=("status",))


def test_made_up_levels_follow_from_doses_and_intervals():
    splits = read_visits(VisitsConfig(made=MadeVisitsConfig(people=60)))
    levels = {"low": [], "high": []}
    for label, history in [example for part in splits[:3] for example in part]:
        left = 0.5 ** ((history.times[-1] - history.times) / 14)
        levels[label].append((left * np.array(history.cells["dose"], float)).sum())
    assert max(levels["low"]) < min(levels["high"]) + 0.5  # times are written to a tenth of a day


def test_pixels_are_read_in_one_order_by_all():
    picture = np.arange(64, dtype=np.float32).reshape(8, 8)
    mixed = DigitsConfig(permuted=True, pixels=2)
    assert pixel_steps(picture, DigitsConfig(pixels=8)).tolist() == picture.tolist()
    assert sorted(pixel_steps(picture, mixed).ravel()) == list(range(64))
    assert (
        pixel_steps(picture, mixed).tolist() == pixel_steps(picture, mixed).tolist() != picture.reshape(32, 2).tolist()
    )
    splits = read_digits(DigitsConfig())
    assert {label for label, _ in splits.test} == set("0123456789")


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_film_moves_as_it_says(motion):
    config = FramesConfig(noise=0.0, frames=(9, 9))
    picture = np.random.default_rng(1).uniform(0.1, 1, (1, 8, 8)).astype(np.float32)
    film = draw_film(np.random.default_rng(0), picture, motion, config)
    moves = []
    for before, after in itertools.pairwise(film):
        turned = {step: np.roll(before, step, axis=(0, 1)) for step in [*STEP.values()]}
        moves.append(next(step for step, frame in turned.items() if np.array_equal(frame, after)))
    if motion in STEP:
        assert set(moves) == {STEP[motion]}
        return
    order = [TURN.index(move) for move in moves]
    turns = {(b - a) % 4 for a, b in itertools.pairwise(order)} - {0}
    assert turns == ({1} if motion == "clockwise" else {3})


def test_films_are_the_same_each_time_and_no_frame_tells():
    config = FramesConfig(films=(14, 7, 7))
    one, other = read_films(config), read_films(config)
    assert [len(part) for part in one[:3]] == [14, 7, 7]
    for (label, film), (same, again) in zip(one.train, other.train, strict=True):
        assert label == same
        np.testing.assert_array_equal(film, again)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: DigitsConfig(pixels=7), "should divide 64"),
        (lambda: FramesConfig(motions=("left",)), "two at least"),
        (lambda: FramesConfig(side=7), "`side` should be at least 8"),
        (lambda: FramesConfig(frames=(5, 4)), "`frames`"),
        (lambda: VisitsConfig(separator=";;"), "one character"),
        (lambda: VisitsConfig(separator=r"\n"), "for a tab"),
        (lambda: MadeVisitsConfig(people=3), "`people`"),
    ],
)
def test_sizes_that_cannot_be_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
