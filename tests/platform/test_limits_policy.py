"""The limits of the house: who asks, what a call demands, and how the answer tells it."""

from datetime import timedelta
from typing import get_args
from uuid import UUID

import pytest

from tenfold.kit.actors import Actor
from tenfold.platform.http import Extra, doors
from tenfold.platform.limits import Decision, Demand, Rate, policy
from tenfold.platform.limits.address import client_address, client_key, networks
from tenfold.platform.limits.headers import limit_fields
from tenfold.platform.limits.policy import LimitPolicy

QUARTER = timedelta(minutes=15)
MAIL = Extra("mail", 50, timedelta(minutes=1))
TRUSTED = networks(["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"])
ANA = UUID(int=7)


def actor(tier: int = 0) -> Actor:
    return Actor(id=ANA, session_id=ANA, tier=tier)


def test_visitors_share_a_budget_by_address() -> None:
    """Anonymous reads have 300 calls in 15 minutes, sign-up-like doors 50 of their own."""
    read = LimitPolicy().demands("read", 1, (), None, address="192.0.2.1")
    sign_up = LimitPolicy().demands("sign_in", 1, (), None, address="192.0.2.1")

    assert read == [Demand("calls", "ip:192.0.2.1", Rate(300, QUARTER), 1)]
    assert sign_up == [Demand("sign_in", "ip:192.0.2.1", Rate(50, QUARTER), 1)]


@pytest.mark.parametrize(("tier", "calls"), [(0, 300), (2, 300), (3, 500), (4, 500), (5, 1000), (9, 1000), (-1, 300)])
def test_users_have_the_budget_of_their_tier(tier: int, calls: int) -> None:
    """Tiers 0 to 2 have 300, 3 and 4 have 500, 5 has 1000; a tier out of range is the nearest."""
    demands = LimitPolicy().demands("write", 1, (), actor(tier), address="192.0.2.1")

    assert demands == [Demand("calls", f"user:{ANA.hex}", Rate(calls, QUARTER), 1)]


def test_the_class_weighs_the_cost() -> None:
    """A costly call of a user spends five times as much of the one budget."""
    (demand,) = LimitPolicy(costly=7).demands("costly", 2, (), actor(), address="192.0.2.1")

    assert demand.cost == 14


def test_an_account_buys_no_guesses_at_others() -> None:
    """Sending a token along to the sign-in door does not lift the limit of the address."""
    demands = LimitPolicy().demands("sign_in", 1, (), actor(5), address="192.0.2.1")

    assert [(demand.name, demand.who) for demand in demands] == [
        ("calls", f"user:{ANA.hex}"),
        ("sign_in", "ip:192.0.2.1"),
    ]


def test_free_doors_demand_only_their_extras() -> None:
    """Health checks cost nothing."""
    assert LimitPolicy().demands("free", 1, (), None, address="") == []
    assert [d.name for d in LimitPolicy().demands("free", 1, [MAIL], None, address="192.0.2.1")] == ["mail"]


def test_settings_override_extras_by_name() -> None:
    """What a door declares is a default that the administrator may change without touching code."""
    declared = LimitPolicy().demands("write", 3, [MAIL], actor(), address="192.0.2.1")
    changed = LimitPolicy(extras={"mail": Rate(5, QUARTER)}).demands("write", 3, [MAIL], actor(), address="192.0.2.1")

    assert declared[1] == Demand("mail", f"user:{ANA.hex}", Rate(50, timedelta(minutes=1)), 1)
    assert changed[1].rate == Rate(5, QUARTER)


def test_the_classes_of_doors_are_those_of_the_policy() -> None:
    """A class that only one of the two knows would fail on a request instead of at the start."""
    assert get_args(policy.LimitClass) == get_args(doors.LimitClass)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "ip:192.0.2.1"),
        ("::ffff:192.0.2.1", "ip:192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "ip:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "ip:fe80::/64"),
        ("", "ip:unknown"),
        ("/run/socket", "ip:unknown"),
    ],
)
def test_addresses_count_as_one_household(address: str, key: str) -> None:
    """One household has one IPv4 address, or all of a /64."""
    assert client_key(address) == key


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1 ,192.0.2.7, 10.9.9.9", "198.51.100.1"),
        ("2001:db8:1::5", "[2001:db8:2::9]:443", "2001:db8:2::9"),
        ("10.0.0.1", "198.51.100.1:5123", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1,", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:x", "10.0.0.1"),
        ("10.0.0.1", "[2001:db8:2::9", "10.0.0.1"),
        ("10.0.0.1", "[2001:db8:2::9]x", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(peer: str, forwarded_for: str | None, client: str) -> None:
    """A client that writes the header itself gains nothing, wherever in it the lie stands."""
    assert client_address(peer, forwarded_for, TRUSTED) == client


def test_nobody_is_trusted_unless_named() -> None:
    """Without configured proxies the header is ignored altogether."""
    assert client_address("127.0.0.1", "198.51.100.1", ()) == "127.0.0.1"


def test_a_mistyped_network_is_named() -> None:
    """A setting that is wrong stops the start with its value."""
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/33"):
        networks(["10.0.0.0/33"])


def test_an_allowed_answer_tells_where_its_client_stands() -> None:
    """The fields are those of the IETF draft: the policy, what is left of it, and when it is full again."""
    decision = Decision(True, Demand("calls", "ip:x", Rate(300, QUARTER)), 299, 2.1, 0.0)

    assert limit_fields(decision) == [
        (b"ratelimit-policy", b'"calls";q=300;w=900'),
        (b"ratelimit", b'"calls";r=299;t=3'),
    ]


def test_a_refused_answer_says_when_to_come_back() -> None:
    """`Retry-After` is never before the end of the announced window, and never 0."""
    rate = Rate(5, timedelta(milliseconds=500))
    decision = Decision(False, Demand("mail", "ip:x", rate), 0, 0.5, 0.0001)

    assert limit_fields(decision) == [
        (b"ratelimit-policy", b'"mail";q=5;w=1'),
        (b"ratelimit", b'"mail";r=0;t=1'),
        (b"retry-after", b"1"),
    ]
