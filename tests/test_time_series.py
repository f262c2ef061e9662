"""Series of numbers: CSV read or refused, times, scaling, windows, the linear forecast, and the adding problem."""

import dataclasses
import json

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.adding import AddingBatches, AddingConfig
from seqjax.data.linear_autoregression import fit_linear, linear_forecast
from seqjax.data.time_series import TimeSeries, parse_series, read_series
from seqjax.data.time_series_ahead import next_times, season_of, time_text
from seqjax.data.time_series_bundled import bundled_series
from seqjax.data.time_series_config import TimeSeriesConfig
from seqjax.data.time_series_windows import Scaling, bounds, cut_windows, fit_scaling, split_windows
from seqjax.tasks.forecast_baselines import naive_forecasts

CONFIG = TimeSeriesConfig(path="f.csv", context=6, horizon=3, split=(0.6, 0.2, 0.2))


def numbered(values) -> TimeSeries:
    """A series (T, D) whose times are 0, 1, 2, …"""
    values = np.asarray(values, float)
    return TimeSeries("t", False, np.arange(float(len(values))), tuple("abc"[: values.shape[1]]), values)


REFUSED = {
    "an unparsable number": ("t,x\n1,2\n2,two\n", {}, ["f.csv, row 3, column `x`", "'two'"]),
    "a number that is not finite": ("t,x\n1,2\n2,inf\n", {}, ["row 3, column `x`", "finite"]),
    "an empty cell": ("t,x\n1,2\n2,\n", {}, ["row 3, column `x`", "--data.missing carry"]),
    "a first cell that nothing comes before": ("t,x\n1,\n2,3\n", {"missing": "carry"}, ["row 2, column `x`"]),
    "times that fall": ("t,x\n1,2\n3,2\n2,2\n", {}, ["row 4", "'2' stands after '3'", "Sort"]),
    "a time that comes twice": ("t,x\n2024-01-01,2\n2024-01-01,3\n", {}, ["row 3", "twice"]),
    "a time that is no date": ("t,x\n2024-01-01,2\n2024-13-01,3\n", {}, ["row 3, column `t`", "ISO date"]),
    "a date among numbers": ("t,x\n1,2\n2024-01-01,3\n", {}, ["row 3, column `t`", "number"]),
    "a row of another width": ("t,x\n1,2\n2\n", {}, ["row 3", "1 cells"]),
    "no such column": ("t,x\n1,2\n", {"columns": ("y",)}, ["'y'", "Known: t, x"]),
    "no such target": ("t,x,y\n1,2,3\n", {"columns": ("x",), "targets": ("x",), "time": "z"}, ["'z'"]),
    "two columns of one name": ("t,x,x\n1,2,3\n", {}, ["'x'", "two columns"]),
    "no column of numbers": ("t\n1\n", {}, ["column of numbers"]),
    "nothing below the names": ("t,x\n", {}, ["no row"]),
    "another delimiter": ("t;x\n1;2\n", {"columns": ("x",)}, ["--data.delimiter"]),
    "a text column": ("t,city\n1,Oslo\n", {}, ["column `city`", "'Oslo' is no", "--data.columns", "--data.time"]),
    "times in another column": ("city,t\nOslo,1\n", {}, ["column `city`", "'Oslo'", "--data.time"]),
    "no such column of times": ("t,x\n1,2\n", {"time": "day"}, ["'day'", "--data.time"]),
    "months": ("t,x\n2000-01,2\n", {}, ["'2000-01'", "the first of the month: 2000-01-01"]),
    "dates in another order": ("t,x\n01/31/2024,2\n", {}, ["'01/31/2024'", "Write year-month-day"]),
    "no row at all": ("\n\n", {}, ["no row"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_csv_that_is_wrong_is_refused_with_its_row_and_column(kind):
    text, changes, words = REFUSED[kind]
    with pytest.raises(InputError) as error:
        parse_series(text, "f.csv", dataclasses.replace(CONFIG, **changes))
    for word in words:
        assert word in str(error.value)


def test_csv_is_read_by_its_names_whatever_their_order():
    text = '"a b";day;c\n"1.5";2024-02-28T12:00;7\nNA;2024-02-29T12:00;8\n'
    series = parse_series(
        text, "f.csv", dataclasses.replace(CONFIG, time="day", columns=("c", "a b"), delimiter=";", missing="carry")
    )
    assert (series.time, series.names, series.filled) == ("day", ("c", "a b"), 1)
    assert series.values.tolist() == [[7.0, 1.5], [8.0, 1.5]]
    assert next_times(series, 2) == ["2024-03-01T12:00:00", "2024-03-02T12:00:00"]


def test_a_tab_may_be_typed_as_a_backslash_and_a_t():
    series = parse_series("t\tx\n1\t2\n", "f.csv", dataclasses.replace(CONFIG, delimiter=r"\t"))
    assert series.values.tolist() == [[2.0]]
    with pytest.raises(InputError, match="for a tab"):
        dataclasses.replace(CONFIG, delimiter=";;")


def test_times_go_on_as_they_went():
    def after(*times):
        text = "t,x\n" + "".join(f"{time},1\n" for time in times)
        return next_times(parse_series(text, "f.csv", CONFIG), 2)

    assert after("2024-10-01", "2024-11-01", "2024-12-01") == ["2025-01-01", "2025-02-01"]
    assert after("2024-01-05", "2024-01-12", "2024-01-19") == ["2024-01-26", "2024-02-02"]
    assert after("2024-03-31", "2024-06-30", "2024-09-30") == ["2024-12-31", "2025-03-31"]
    assert after("2024-01-31", "2024-02-29", "2024-03-31") == ["2024-04-30", "2024-05-31"]
    assert after("2024-01-01", "2024-01-03", "2024-01-04") == ["2024-01-06", "2024-01-07"]  # a day and a half each
    assert after("2024-11-30", "2024-12-30") == ["2025-01-30", "2025-02-28"]
    assert after("2024-01-01", "2024-02-01", "2024-04-01", "2024-05-01") == ["2024-06-01", "2024-07-01"]  # no March
    assert after("2024-01-31", "2024-03-31", "2024-04-30", "2024-05-31") == ["2024-06-30", "2024-07-31"]  # no February
    assert after("2024-01-01", "2024-02-01", "2024-04-01") == ["2024-05-01", "2024-06-01"]
    assert after("1990", "1991", "1992") == ["1993", "1994"]
    assert after("2024-01-01T22:00", "2024-01-01T23:00") == ["2024-01-02T00:00:00", "2024-01-02T01:00:00"]


def daily(first: str, count: int, form=str, step: int = 1) -> TimeSeries:
    """A file of working days."""
    days = np.busday_offset(np.datetime64(first), np.arange(0, count * step, step), roll="forward")
    return parse_series("t,x\n" + "".join(f"{form(day)},{n}\n" for n, day in enumerate(days)), "f.csv", CONFIG)


def test_dates_of_eight_digits_are_dates_and_numbers_that_are_none_stay_numbers():
    def read(*times):
        return parse_series("t,x\n" + "".join(f"{time},1\n" for time in times), "f.csv", CONFIG)

    series = read(*(f"202401{day:02}" for day in range(1, 32)))
    assert (series.dates, season_of(series), next_times(series, 2)) == (True, 7, ["20240201", "20240202"])
    assert time_text(series, series.moments[0]) == "20240101"
    assert next_times(read("20240101", "20240201", "20240301"), 1) == ["20240401"]
    for numbers in (("20240101", "20240132"), ("10000000", "10000001"), ("20240101", "20240102.5")):
        assert not read(*numbers).dates


@pytest.mark.parametrize("zone", ["+05:00", "-03:30", "Z"])
def test_times_keep_the_offset_of_the_last(zone):
    def read(*times):
        return parse_series("t,x\n" + "".join(f"{time},1\n" for time in times), "f.csv", CONFIG)

    series = read(*(f"2024-01-{day:02}T00:00:00{zone}" for day in range(1, 32)))
    assert next_times(series, 2) == [f"2024-02-01T00:00:00{zone}", f"2024-02-02T00:00:00{zone}"]
    assert time_text(series, series.moments[3]) == f"2024-01-04T00:00:00{zone}"
    assert next_times(series.part(3, 9), 1) == [f"2024-01-10T00:00:00{zone}"]
    monthly = read("2024-02-01T00:00+01:00", "2024-03-01T00:00+01:00", f"2024-04-01T00:00{zone}")
    assert next_times(monthly, 1) == [f"2024-05-01T00:00:00{zone}"]
    hours = read("2024-03-31T00:00+01:00", "2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00")
    assert next_times(hours, 1) == ["2024-03-31T04:00:00+02:00"]


def test_working_days_leave_out_weekends():
    series = daily("2024-01-03", 15)  # Wednesday to Tuesday, three weeks
    assert season_of(series) == 5
    assert next_times(series, 5) == ["2024-01-24", "2024-01-25", "2024-01-26", "2024-01-29", "2024-01-30"]
    assert next_times(daily("2024-01-01", 15, lambda day: f"{day}T16:00"), 1) == ["2024-01-22T16:00:00"]
    short = daily("2024-01-01", 10)
    assert (season_of(short), next_times(short, 1)) == (7, ["2024-01-13"])
    assert next_times(short, 1, working=True) == ["2024-01-15"]
    week = np.arange(19723.0, 19765.0)
    assert season_of(numbered(np.ones((42, 1)))._replace(dates=True, moments=week)) == 7
    assert season_of(daily("2024-01-01", 12, step=5)) == 52


@pytest.mark.parametrize(
    "times", [("9999-11-01", "9999-12-01"), ("9999-12-30", "9999-12-31"), ("0001-01-01", "9000-01-01")]
)
def test_the_end_of_the_calendar_is_said(times):
    series = parse_series("t,x\n" + "".join(f"{time},1\n" for time in times), "f.csv", CONFIG)
    with pytest.raises(InputError, match=f"t: the 2 times after {times[-1]} are not all dates: .* 9999"):
        next_times(series, 2)


def test_a_season_comes_from_the_time_between_steps():
    def spaced(days: float) -> TimeSeries:
        return numbered(np.ones((9, 1)))._replace(dates=True, moments=days * np.arange(9.0))

    assert [season_of(spaced(days)) for days in (1 / 24, 1, 7, 30.5, 91, 365)] == [24, 7, 52, 12, 4, 1]
    assert season_of(numbered(np.ones((9, 1)))) == 1
    assert season_of(spaced(1), 5) == 5


def test_scaling_knows_the_training_split_alone_and_comes_back_from_its_file(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 2)) * [1.0, 100.0]
    other = values.copy()
    other[24:] = 1e9  # validation and test
    one, two = fit_scaling(numbered(values), CONFIG), fit_scaling(numbered(other), CONFIG)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    scaled = one.scale(numbered(values))
    np.testing.assert_allclose(scaled[:24].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled[:24].std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(one.back(scaled), values, rtol=1e-4, atol=1e-5)
    one.save(tmp_path / "scaling.json")
    for a, b in zip(one, Scaling.load(tmp_path / "scaling.json"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.time, one.working, fit_scaling(daily("2024-01-01", 40), CONFIG).working) == ("t", False, True)
    older = json.loads((tmp_path / "scaling.json").read_text())
    (tmp_path / "scaling.json").write_text(json.dumps({k: v for k, v in older.items() if k not in ("time", "working")}))
    assert Scaling.load(tmp_path / "scaling.json").time == ""
    with pytest.raises(InputError, match=r"scaling.json: should be the scaling"):
        Scaling.load(tmp_path / "nothing" / "scaling.json")


def test_a_constant_column_is_refused():
    values = np.arange(40.0)[:, None] * [1.0, 0.0] + [0.0, 5.0]
    with pytest.raises(InputError, match=r"column `b` is constant: it holds 5 in every row\."):
        fit_scaling(numbered(values), CONFIG)
    values[30:, 1] = 6
    with pytest.raises(InputError, match=r"in every row of the training split"):
        fit_scaling(numbered(values), CONFIG)


def test_no_forecast_reaches_into_another_split_and_every_origin_comes_once():
    series = numbered(np.arange(40.0)[:, None])
    scaling = Scaling(("a",), ("a",), np.zeros(1), np.ones(1), 1, np.zeros((2, 1)))
    places = bounds(40, CONFIG)
    for name, windows in split_windows(series, scaling, CONFIG).items():
        first, end = places[name]
        assert windows.origins.tolist() == list(range(max(first, 6), end - 3 + 1))
        for place, origin in enumerate(windows.origins):
            assert windows.seen[place, :, 0].tolist() == list(range(origin - 6, origin))
            assert windows.came[place, :, 0].tolist() == list(range(origin, origin + 3))


@pytest.mark.parametrize(("steps", "words"), [(12, "for train"), (20, "9 from 6|horizon"), (4, "from 6 before them")])
def test_a_series_shorter_than_its_windows_is_refused(steps, words):
    config = dataclasses.replace(CONFIG, horizon=9) if steps == 20 else CONFIG
    series = numbered(np.arange(float(steps))[:, None] ** 2)
    scaling = Scaling(("a",), ("a",), np.zeros(1), np.ones(1), 1, np.zeros((2, 1)))
    with pytest.raises(InputError, match=words):
        split_windows(series, scaling, config)
    with pytest.raises(InputError, match=r"too few for one forecast of 99 steps"):
        cut_windows(series, scaling, dataclasses.replace(config, horizon=99), 0, steps)


def test_the_naive_forecasts_are_what_their_names_say():
    seen = np.random.default_rng(0).normal(size=(4, 7, 2))
    found = naive_forecasts(seen, 5, season=3)
    for row in range(4):
        for step in range(5):
            np.testing.assert_array_equal(found["naive"][row, step], seen[row, 6])
            np.testing.assert_array_equal(found["seasonal_naive"][row, step], seen[row, 4 + step % 3])
            slope = (seen[row, 6] - seen[row, 0]) / 6
            np.testing.assert_allclose(found["drift"][row, step], seen[row, 6] + slope * (step + 1))
    assert "seasonal_naive" not in naive_forecasts(seen, 5, season=8)
    assert "seasonal_naive" not in naive_forecasts(seen, 5, season=1)


def test_the_linear_forecast_finds_the_recurrence_that_made_a_series():
    random = np.random.default_rng(1)
    weights = np.array([[0.5, 0.1], [-0.2, 0.3], [0.3, -0.4], [0.1, 0.5], [0.2, -0.1]])  # two lags of two columns, one
    values = list(random.normal(size=(2, 2)))
    for _ in range(198):
        values.append(np.concatenate([values[-2], values[-1], [1.0]]) @ weights + 0.01 * random.normal(size=2))
    series = np.array(values)
    found = fit_linear(series, 2)
    np.testing.assert_allclose(found, weights, atol=0.15)
    one = linear_forecast(found, series[None, :10], 1)[0, 0]
    np.testing.assert_allclose(one, np.concatenate([series[8], series[9], [1.0]]) @ found)
    two = linear_forecast(found, series[None, :10], 2)[0, 1]
    np.testing.assert_allclose(two, np.concatenate([series[9], one, [1.0]]) @ found)


def test_the_series_of_statsmodels_rise_in_time_and_have_no_holes():
    sizes = {"co2": 2284, "elnino": 732, "sunspots": 309}
    for name, steps in sizes.items():
        series = bundled_series(name)
        assert series.values.shape == (steps, 1)
        assert np.isfinite(series.values).all()
        assert (np.diff(series.moments) > 0).all()
    assert fit_scaling(bundled_series("sunspots"), TimeSeriesConfig(name="sunspots")).season == 11
    assert fit_scaling(bundled_series("elnino"), TimeSeriesConfig(name="elnino")).season == 12


def test_statsmodels_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'seqjax\[data\]'"):
        read_series(TimeSeriesConfig())


def test_the_adding_problem_adds_two_marked_numbers_one_in_each_half():
    config = AddingConfig(length=11, held=70)
    for batch in (AddingBatches(config, "train", rows=50, seed=3)[4], AddingBatches(config, "test", rows=70)[0]):
        values, marks = batch["xs"][..., 0], batch["xs"][..., 1]
        assert marks[:, :5].sum(axis=1).tolist() == marks[:, 5:].sum(axis=1).tolist() == [1.0] * len(marks)
        np.testing.assert_allclose(batch["targets"][:, 0, 0], (values * marks).sum(axis=1), rtol=1e-6)
        assert values.min() >= 0
        assert values.max() < 1


def test_the_adding_problem_is_a_function_of_seed_and_step():
    config = AddingConfig(length=6, held=9)
    one, again = (AddingBatches(config, "train", rows=4, seed=1) for _ in range(2))
    np.testing.assert_array_equal(one[1234]["xs"], again[1234]["xs"])
    different = one[1235], one[234], AddingBatches(config, "train", rows=4, seed=2)[1234]
    assert all((one[1234]["xs"] != other["xs"]).any() for other in different)
    held = {name: AddingBatches(config, name, rows=4) for name in ("valid", "test")}
    assert (held["valid"].held != held["test"].held).any()
    assert [int(batch["real"].sum()) for batch in held["test"]] == [4, 4, 1]
    np.testing.assert_array_equal(AddingBatches(config, "test", rows=9, seed=5).held, held["test"].held)
