"""What strangers learn: nothing about who has an account, neither from answers nor from the work behind them."""

from collections import Counter

from tenfold.modules.identity import Passwords
from tenfold.platform.observe import metrics
from tests.world import PASSWORD, World


class Work:
    """Counts what the house does between two looks: statements by name, and password hashes."""

    def __init__(self, world: World) -> None:
        self._passwords = world.parts.get(Passwords)
        self._before = self._now()

    def since(self) -> Counter[str]:
        """What was done since the last look."""
        before, self._before = self._before, self._now()
        return self._before - before

    def _now(self) -> Counter[str]:
        counts: Counter[str] = Counter({"hashes": self._passwords.done})
        for family in metrics.statement_seconds.collect():
            for sample in family.samples:
                if sample.name.endswith("_count"):
                    counts[sample.labels["statement"]] += int(sample.value)
        return counts


async def test_signing_up_takes_the_same_work_for_a_known_address(world: World) -> None:
    """The same statements as often, one hash, one mail."""
    work = Work(world)
    asked = {"password": PASSWORD, "name": "Kim"}

    await world.visitor.post("/v1/accounts", {**asked, "email": "kim@example.org", "handle": "kim"})
    fresh = work.since()
    await world.visitor.post("/v1/accounts", {**asked, "email": world.ana.email, "handle": "kim_2"})
    known = work.since()

    assert fresh["hashes"] == 1
    assert sum(fresh.values()) > 5
    assert known == fresh


async def test_signing_in_takes_the_same_work_for_an_unknown_address(world: World) -> None:
    """One look-up and one hash, whether there is somebody or not."""
    work = Work(world)

    await world.visitor.post("/v1/sessions", {"email": world.ana.email, "password": "not the password"})
    known = work.since()
    await world.visitor.post("/v1/sessions", {"email": "nobody@example.org", "password": "not the password"})
    unknown = work.since()

    assert unknown == known
    assert known == Counter({"hashes": 1, "identity.find_sign_in": 1})


async def test_asking_for_a_reset_takes_the_same_work_for_an_unknown_address(world: World) -> None:
    """Both write one job; who it is for is found out later."""
    work = Work(world)

    await world.visitor.post("/v1/password-resets", {"email": world.ana.email})
    known = work.since()
    await world.visitor.post("/v1/password-resets", {"email": "nobody@example.org"})

    assert work.since() == known


async def test_a_token_of_another_user_opens_nothing_of_theirs(world: World) -> None:
    """Every door of one's own account acts on the bearer, whatever the body says."""
    answer = await world.eve.patch("/v1/me", {"id": str(world.ana.id), "name": "Eve"})

    assert (answer.status, answer.body["errors"][0]["field"]) == (400, "body.id")
