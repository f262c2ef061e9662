"""Dates in many languages: what is written means one day, and no day of the test is in training."""

import datetime
import os
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import DatesConfig, PairsConfig, read_pairs
from seqjax.data.dates import find_forms, write_date, write_pairs

SPLIT = (0.8, 0.1, 0.1)
DEFAULT = DatesConfig()


@pytest.fixture(scope="module")
def splits():
    return write_pairs(DEFAULT, SPLIT)


def dates(pairs):
    """(written, ISO) of every single date."""
    return [
        (text, iso) for pair in pairs for text, iso in zip(pair.source.split("; "), pair.target.split(" "), strict=True)
    ]


def test_a_date_is_written_as_people_write_it():
    day = datetime.date(2022, 5, 3)
    assert write_date(day, "pt") == "terça-feira, 3 de maio de 2022"
    assert write_date(day, "es", "long") == "3 de mayo de 2022"
    assert write_date(day, "en", "medium") == "May 3, 2022"


def test_no_day_is_in_two_splits(splits):
    days = [{iso for _, iso in dates(part)} for part in splits]
    assert not days[0] & days[1] | days[0] & days[2] | days[1] & days[2]
    assert min(map(len, days)) > 2000
    assert all("1900-01-01" <= iso <= "2099-12-31" for part in days for iso in part)


def test_a_written_date_means_one_day(splits):
    meaning = {}
    for text, iso in dates(pair for part in splits for pair in part):
        assert meaning.setdefault(text, iso) == iso
    assert len(meaning) > 40_000


@pytest.mark.parametrize("year", [1900, 2000, 2011])
def test_no_two_days_of_a_year_are_written_alike_in_any_form(year):
    meaning = {}
    first = datetime.date(year, 1, 1)
    days = [first + datetime.timedelta(n) for n in range(365)]
    for language, forms in find_forms(DEFAULT.languages).items():
        for form in forms:
            for day in days:
                text = write_date(day, language, form)
                assert str(day.year) in text
                assert meaning.setdefault(text, day) == day


def test_the_name_of_the_day_is_right(splits):
    names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    found = [(text, iso) for text, iso in dates(splits[0]) if text.split(",")[0] in names]
    assert len(found) > 300
    assert all(datetime.date.fromisoformat(iso).strftime("%A") == text.split(",")[0] for text, iso in found)


def test_there_are_ten_languages_and_several_scripts(splits):
    assert len(DEFAULT.languages) >= 10
    assert {"pt", "es", "en"} <= set(DEFAULT.languages)
    letters = {c for pair in splits[0] for c in pair.source if c.isalpha()}
    scripts = {unicodedata.name(c).split()[0] for c in letters}
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "DEVANAGARI", "CJK", "HANGUL"} <= scripts


def test_lines_hold_one_to_four_dates_alike_often(splits):
    assert [len(part) for part in splits] == [20_000, 1_000, 1_000]
    for part in splits:
        counts = np.bincount([len(pair.target.split()) for pair in part])
        assert len(counts) == 5
        assert counts[0] == 0
        np.testing.assert_allclose(counts[1:] / len(part), 0.25, atol=0.05)
    assert max(len(pair.source) for pair in splits[0]) > 100


def test_targets_are_iso_dates_and_sources_have_plain_spaces(splits):
    for pair in splits[1]:
        assert re.fullmatch(r"(\d{4}-\d\d-\d\d)( \d{4}-\d\d-\d\d)*", pair.target)
        assert not re.search("[\u00a0\u202f\u200e\u200f\t\n]|  ", pair.source)


def test_the_lines_are_a_function_of_the_seed(splits):
    assert write_pairs(DEFAULT, SPLIT) == splits
    assert write_pairs(DatesConfig(seed=1, lines=100), SPLIT)[0] != splits[0][:100]


def test_fewer_lines_to_train_on_are_the_first_ones_and_leave_the_test_as_it_is(splits):
    fewer = write_pairs(DatesConfig(lines=50), SPLIT)
    assert fewer[0] == splits[0][:50]
    assert fewer[1:] == splits[1:]


def test_the_lines_do_not_depend_on_the_hash_seed(splits):
    program = (
        "from seqjax.data import DatesConfig; from seqjax.data.dates import write_pairs\n"
        "print(ascii(write_pairs(DatesConfig(lines=40), (0.8, 0.1, 0.1))[0]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii(splits[0][:40])


def test_forms_that_leave_open_day_and_month_are_left_out():
    forms = find_forms(["de", "ar", "sv", "cs"])
    assert "medium" not in forms["de"] + forms["ar"] + forms["cs"]
    assert "medium" in forms["sv"]


def test_a_form_that_another_language_uses_for_another_day_is_left_out():
    """``13 may 2023`` is in May for the Spanish, and in October for the Duala."""
    assert find_forms(["dua"]) == {"dua": ("full", "long", "medium")}
    assert find_forms(["es", "dua"]) == {"es": ("full", "long", "medium"), "dua": ("full", "long")}
    assert find_forms(["pt", "pt_BR"])["pt_BR"] == ("full", "long", "medium")


def test_a_language_without_a_clear_form_is_refused(monkeypatch):
    monkeypatch.setattr("seqjax.data.dates._names_its_parts", lambda pattern: False)
    with pytest.raises(InputError, match=r"no form of 'pt' names one day only beside those of es. Leave it out"):
        find_forms(["pt", "es"])


def test_dates_are_the_default_data_and_turn_round(splits):
    config = DatesConfig(lines=9, held=3)
    read = read_pairs(PairsConfig(dates=config))
    assert read.train == splits[0][:9]
    assert read.dropped == {"train": {}, "valid": {}, "test": {}}
    turned = read_pairs(PairsConfig(dates=config, swap=True))
    assert [(pair.target, pair.source) for pair in turned.test] == [tuple(pair) for pair in read.test]


def test_without_babel_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    write_date.__globals__["locale_of"].cache_clear()
    with pytest.raises(InputError, match=r"babel.*pip install -e '\.\[data\]', or give data .* --data.path"):
        read_pairs(PairsConfig())


BAD = {
    "unknown": ({"languages": ("en", "eo_XYZ")}, "language 'eo_XYZ' is unknown"),
    "misspelt": ({"languages": ("prt",)}, r"'prt' is unknown. Did you mean `pt`"),
    "none": ({"languages": ()}, "one language at least"),
    "twice": ({"languages": ("en", "en")}, "each once"),
    "no lines": ({"lines": 0}, "`lines` should be at least 1"),
    "no dates": ({"most": 0}, "`most` should be at least 1"),
    "nothing held": ({"held": 0}, "`held` should be at least 1"),
    "seed": ({"seed": -1}, "`seed` should be at least 0"),
}


@pytest.mark.parametrize("options, message", BAD.values(), ids=BAD)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        write_pairs(DatesConfig(**options), SPLIT)


def test_a_split_without_days_is_refused():
    with pytest.raises(InputError, match="without a day"):
        write_pairs(DatesConfig(lines=1), (1 - 2e-6, 1e-6, 1e-6))
