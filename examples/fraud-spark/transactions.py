"""Card payments of an invented town, day by day, about one in a hundred of them fraud.

In the manner of the simulator of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi,
https://fraud-detection-handbook.github.io): customers have a mean amount, hours, and terminals near home;
frauds come from three mechanisms:

large       someone else pays with the card once: a large amount, anywhere in town
terminals   a terminal is tampered with for 28 days; a quarter of what is paid there is fraud. Only the
            frauds that were reported for the terminal give it away
customers   a card is stolen for 14 days; three in ten of its payments are fraud, larger, at any hour

Two things change, on days that are known:

DRIFT_DAY   before it most frauds are `large`, from it on most are of the other two
FLIP_DAY    `minutes_since_last`, the time since the card's last payment, is short for frauds, until on this
            day one group of terminals, `transit`, gets fare gates: from then on honest riders tap in and
            out within minutes there, and a thief rides once. In the other groups nothing changes

A day is made from the seed, the number of customers and its date alone: whoever asks for one day gets the
rows that somebody who asks for a year gets.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

DRIFT_DAY = date(2026, 3, 2)
FLIP_DAY = date(2026, 4, 20)

FRAUD_RATE = 0.01
SHARES_BEFORE = {"large": 0.6, "terminals": 0.2, "customers": 0.2}
SHARES_AFTER = {"large": 0.2, "terminals": 0.4, "customers": 0.4}
TAMPERED_DAYS, TAMPERED_FRAUD = 28, 0.25
STOLEN_DAYS, STOLEN_FRAUD = 14, 0.3

GROUPS = ["fuel", "grocery", "online", "restaurant", "transit"]
GROUP_SHARES = [0.15, 0.35, 0.2, 0.15, 0.15]
GROUP_AMOUNTS = np.array([1.2, 1.0, 1.4, 0.9, 0.4])
TRANSIT = GROUPS.index("transit")
BANDS = {"below 20": 20.0, "20 to 100": 100.0, "100 and more": np.inf}

PAYMENTS_A_DAY = 2.0  # of a customer, on average
CUSTOMERS_A_TERMINAL = 5
HOOD = 20  # terminals of a neighbourhood
WINDOW = 14  # days that a customer's mean and a terminal's reports are taken over
DELAY = 7  # days until a fraud is reported
LOOKBACK = WINDOW + DELAY
DAY_IDS = 10**9  # more than anybody pays in a day: ids are the day's number times this, and a count

# What a generator of random numbers is for; each day and purpose has one of its own.
WORLD, PAYMENTS, TERMINALS, CUSTOMERS = range(4)


@dataclass(frozen=True)
class World:
    """Who lives there and where one can pay; coordinates in km, amounts in cents, hours from midnight."""

    seed: int
    rate: np.ndarray  # payments a day of each customer
    mean: np.ndarray
    hour: np.ndarray
    home: np.ndarray
    hood: np.ndarray
    group: np.ndarray  # of each terminal, a place in GROUPS
    place: np.ndarray

    @property
    def customers(self) -> int:
        return len(self.rate)

    @property
    def terminals(self) -> int:
        return len(self.group)


def make_world(seed: int, customers: int) -> World:
    rng = np.random.default_rng([seed, WORLD, customers])
    hoods = max(2, customers // (CUSTOMERS_A_TERMINAL * HOOD))
    centre = rng.uniform(0, 100, (hoods, 2))
    hood = rng.integers(0, hoods, customers)
    return World(
        seed=seed,
        rate=rng.uniform(0.1, 1.9, customers) * PAYMENTS_A_DAY,
        mean=rng.lognormal(np.log(3500), 0.5, customers),
        hour=rng.uniform(9, 21, customers),
        home=centre[hood] + rng.normal(0, 3, (customers, 2)),
        hood=hood,
        group=rng.choice(len(GROUPS), hoods * HOOD, p=GROUP_SHARES),
        place=np.repeat(centre, HOOD, axis=0) + rng.normal(0, 3, (hoods * HOOD, 2)),
    )


def days(world: World, first: date, end: date) -> Iterator[tuple[date, pa.Table]]:
    """Each day from `first` up to, not including, `end`, with its payments in the order of their times."""
    spent: deque[np.ndarray] = deque(maxlen=WINDOW)  # cents of each customer, one array a day
    paid: deque[np.ndarray] = deque(maxlen=WINDOW)  # payments of each customer
    seen: deque[np.ndarray] = deque(maxlen=LOOKBACK)  # payments at each terminal
    frauds: deque[np.ndarray] = deque(maxlen=LOOKBACK)  # frauds at each terminal
    day = first - timedelta(days=LOOKBACK)
    while day < end:
        made = _payments(world, day)
        if day >= first:
            reported, known = (sum(list(past)[:WINDOW]) for past in (frauds, seen))
            yield day, _table(world, day, made, sum(spent), sum(paid), reported, known)
        spent.append(np.bincount(made.customer, made.cents, world.customers).astype(np.int64))
        paid.append(np.bincount(made.customer, minlength=world.customers))
        seen.append(np.bincount(made.terminal, minlength=world.terminals))
        frauds.append(np.bincount(made.terminal[made.fraud], minlength=world.terminals))
        day += timedelta(days=1)


@dataclass(frozen=True)
class _Payments:
    customer: np.ndarray
    terminal: np.ndarray
    cents: np.ndarray
    hour: np.ndarray
    fraud: np.ndarray
    minutes_since_last: np.ndarray


def _payments(world: World, day: date) -> _Payments:
    """What is paid on a day, and by whom really; nothing here looks at another day's payments."""
    rng = np.random.default_rng([world.seed, PAYMENTS, day.toordinal()])
    share = SHARES_BEFORE if day < DRIFT_DAY else SHARES_AFTER
    customer = np.repeat(np.arange(world.customers), rng.poisson(world.rate))
    rows = len(customer)
    near = world.hood[customer] * HOOD + rng.integers(0, HOOD, rows)
    anywhere = rng.integers(0, world.terminals, rows)
    terminal = np.where(rng.random(rows) < 0.85, near, anywhere)

    tampered = _active(world, TERMINALS, day, TAMPERED_DAYS, world.terminals)
    stolen = _active(world, CUSTOMERS, day, STOLEN_DAYS, world.customers)
    luck = rng.random((3, rows))
    by_customer = stolen[customer] & (luck[0] < STOLEN_FRAUD)
    large = luck[1] < share["large"] * FRAUD_RATE
    away = by_customer | large
    terminal = np.where(away, anywhere, terminal)
    by_terminal = tampered[terminal] & (luck[2] < TAMPERED_FRAUD)
    fraud = away | by_terminal

    factor = np.where(large, rng.uniform(3, 8, rows), np.where(by_customer, rng.uniform(1, 4, rows), 1.0))
    cents = world.mean[customer] * GROUP_AMOUNTS[world.group[terminal]] * rng.lognormal(-0.18, 0.6, rows)
    usual = (world.hour[customer] + rng.normal(0, 3, rows)) % 24
    typical = np.where(fraud, 60.0, 360.0)
    if day >= FLIP_DAY:
        typical = np.where(world.group[terminal] == TRANSIT, np.where(fraud, 240.0, 120.0), typical)
    made = _Payments(
        customer=customer,
        terminal=terminal,
        cents=np.maximum(100, cents * factor).astype(np.int64),
        hour=np.where(by_customer, rng.uniform(0, 24, rows), usual),
        fraud=fraud,
        minutes_since_last=(typical * rng.lognormal(0, 1, rows)).round(1),
    )
    order = np.argsort(made.hour, kind="stable")
    return _Payments(*(getattr(made, name)[order] for name in made.__dataclass_fields__))


def _active(world: World, purpose: int, day: date, lasts: int, size: int) -> np.ndarray:
    """Which terminals or customers are compromised on a day: what began on it or less than `lasts` before."""
    name, fraud = ("terminals", TAMPERED_FRAUD) if purpose == TERMINALS else ("customers", STOLEN_FRAUD)
    active = np.zeros(size, bool)
    for ago in range(lasts):
        began = day - timedelta(days=ago)
        # As many as the mechanism needs on the day itself, so that a drift is sharp, not as slow as `lasts`.
        share = (SHARES_BEFORE if day < DRIFT_DAY else SHARES_AFTER)[name]
        expected = size * share * FRAUD_RATE / fraud / lasts
        rng = np.random.default_rng([world.seed, purpose, began.toordinal()])
        active[rng.permutation(size)[: int(expected + rng.random())]] = True
    return active


def _table(
    world: World,
    day: date,
    made: _Payments,
    spent: np.ndarray,
    paid: np.ndarray,
    reported: np.ndarray,
    known: np.ndarray,
) -> pa.Table:
    """The rows of a day. What is known of customers and terminals is of earlier days only."""
    customer, terminal = made.customer, made.terminal
    amount = made.cents / 100
    typical = (spent.sum() / max(1, paid.sum()) + spent[customer]) / (1 + paid[customer])
    distance = np.hypot(*(world.place[terminal] - world.home[customer]).T)
    seconds = (made.hour * 3600).astype(np.int64)
    midnight = np.datetime64(day, "s").astype(np.int64)
    band = np.searchsorted(list(BANDS.values()), amount, side="right")
    return pa.table(
        {
            "transaction": day.toordinal() * DAY_IDS + np.arange(len(customer)),
            "time": pa.array(midnight + seconds, pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp("us")),
            "customer": customer.astype(np.int64),
            "terminal": terminal.astype(np.int64),
            "terminal_group": np.array(GROUPS)[world.group[terminal]],
            "amount": amount,
            "amount_band": np.array(list(BANDS))[band],
            "hour": made.hour.round(2),
            "distance": distance.round(2),
            # The mean of the last two weeks, drawn to everybody's as if by one payment more.
            "amount_ratio": (made.cents / typical).round(3),
            "terminal_reports": (reported[terminal] / np.maximum(1, known[terminal])).round(4),
            "minutes_since_last": made.minutes_since_last,
            "fraud": made.fraud.astype(np.int8),
        }
    )
