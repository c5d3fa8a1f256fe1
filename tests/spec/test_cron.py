import random

import pytest

from ame.spec.cron import read_cron, read_timezone
from ame.spec.problems import Unreadable

FIELDS = [
    ["*", "0", "59", "*/15", "0-30/10", "5,10,20-25", "07"],
    ["*", "0", "23", "8-18", "*/6", "3/4"],
    ["*", "1", "31", "1,15", "*/10", "10-20/5"],
    ["*", "1", "12", "jan", "JAN-mar", "*/3", "feb,nov"],
    ["*", "0", "7", "mon", "MON-FRI", "sun,sat", "1-5/2"],
]


@pytest.mark.parametrize(
    "expression",
    [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 8",
        "-1 * * * *",
        "*/0 * * * *",
        "*/60 * * * *",
        "*/ * * * *",
        "/5 * * * *",
        "5- * * * *",
        "1,, * * * *",
        "1,2, * * * *",
        "30-10 * * * *",
        "mon * * * *",
        "* * * mon *",
        "* * * * monday",
        "* * L * *",
        "* * * * 5#2",
        "H * * * *",
        "? * * * *",
        "٣ * * * *",
        "1.5 * * * *",
        "* * * *",
        "* * * * * *",
        "",
    ],
)
def test_what_is_no_expression_of_five_fields_is_refused(expression):
    with pytest.raises(Unreadable) as refused:
        read_cron(expression)

    assert refused.value.code == "AME-E119"


def test_a_day_in_february_needs_a_leap_year_and_fires():
    assert read_cron("0 0 29 2 *") == "0 0 29 2 *"


def test_a_day_that_no_month_has_fires_on_the_day_of_the_week():
    assert read_cron("0 0 31 2 mon") == "0 0 31 2 mon"


def test_spaces_between_fields_become_one():
    assert read_cron("  0\t3 *  * * ") == "0 3 * * *"


def test_what_is_accepted_here_prefect_accepts_too():
    from prefect.client.schemas.schedules import CronSchedule  # half a second

    chance = random.Random(7)  # noqa: S311  # not a secret
    for _ in range(300):
        expression = " ".join(chance.choice(parts) for parts in FIELDS)
        try:
            accepted = read_cron(expression)
        except Unreadable:
            continue  # a day that no month has
        assert CronSchedule(cron=accepted).cron == accepted


def test_time_zones_of_the_database_are_accepted():
    assert [read_timezone(name) for name in ("UTC", "Europe/Berlin", "Etc/GMT+5")] == [
        "UTC",
        "Europe/Berlin",
        "Etc/GMT+5",
    ]


@pytest.mark.parametrize(
    "name",
    ["", "Berlin", "Europe", "../UTC", "/etc/localtime", "localtime", "posixrules", "UTC\0", "x" * 5000],
)
def test_what_names_no_place_is_refused(name):
    with pytest.raises(Unreadable) as refused:
        read_timezone(name)

    assert refused.value.code == "AME-E120"
