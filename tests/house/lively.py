"""A lively world for the laws: people who sign up, write, follow, quarrel and leave, all through the doors."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tenfold.kit.clock import Clock
from tests.modules.identity.people import code_in, enrol, mail_to
from tests.world import PASSWORD, Answer, World

Drain = Callable[[], Awaitable[None]]
OTHER_PASSWORD = "a wholly different battery 19"
SETTINGS = {"feed.fan_out_batch": 2, "feed.home_cap": 20, "feed.public_cap": 20, "chat.acquainted_in": 4}


def done(answer: Answer) -> Any:
    """The body of an answer that must not be a refusal."""
    assert answer.status < 300, answer
    return answer.body


def address(post: Any) -> str:
    """Where a post is."""
    return f"/v1/users/{post['author']['id']}/posts/{post['id']}"


def ref(post: Any) -> dict[str, str]:
    """How a draft names a post."""
    return {"author_id": post["author"]["id"], "id": post["id"]}


@dataclass
class Life:
    """The acts, in order. `drain` runs what is due after each of them."""

    world: World
    drain: Drain

    async def live(self) -> None:
        """All of it: afterwards every job of the house has had something to do, or was due."""
        await self.write()
        await self.talk()
        await self.quarrel()
        await self.change_accounts()
        await self.leave()
        await self.let_time_pass()

    async def code_for(self, email: str, template: str) -> str:
        """The code of the last mail of a template, once what is due has run."""
        await self.drain()
        return code_in(mail_to(self.world, email, template))

    async def write(self) -> None:
        """Posts with everything that hangs on them, before awake readers; more followers than a batch holds."""
        world, ana, bob, eve = self.world, self.world.ana, self.world.bob, self.world.eve
        fans = [await world.person(name) for name in ("kim", "lee", "mia")]
        for fan in [bob, eve, *fans]:
            done(await fan.put(f"/v1/users/{ana.id}/follow"))
            done(await fan.get("/v1/timelines/home"))
        post = done(await ana.post("/v1/posts", {"body": "Good morning"}))
        await self.drain()
        shy = done(await ana.post("/v1/posts", {"body": "Among us", "visibility": "followers"}))
        answer = done(await bob.post("/v1/posts", {"body": "Morning!", "reply_to": ref(post)}))
        quote = done(await eve.post("/v1/posts", {"body": "See this", "quote_of": ref(post)}))
        for fan in [bob, eve, *fans]:
            for deed in ("like", "bookmark", "repost"):
                done(await fan.put(f"{address(post)}/{deed}"))
            done(await fan.put(f"{address(shy)}/like"))
        await self.drain()
        done(await ana.patch(address(post), {"body": "Good morning, everybody"}))
        for deed in ("like", "bookmark", "repost"):
            done(await fans[0].delete(f"{address(post)}/{deed}"))
        await self.drain()
        done(await ana.patch(address(post), {"body": "Good day, everybody"}))
        done(await bob.delete(address(answer)))
        done(await world.admin.delete(address(quote).replace("/v1/", "/v1/admin/"), params={"reason": "spam"}))
        await self.drain()

    async def talk(self) -> None:
        """A group that becomes a crowd, and a request: messages, edits, a report; one goes, one is sent away."""
        world, ana, bob = self.world, self.world.ana, self.world.bob
        kim, lee, mia = (world.people[name] for name in ("kim", "lee", "mia"))
        invited = [str(person.id) for person in (bob, kim, lee, mia)]
        group = done(await ana.post("/v1/conversations", {"title": "Friends", "members": invited}))
        talk = f"/v1/conversations/{group['id']}"
        for person in (bob, kim, lee, mia):
            done(await person.put(f"{talk}/membership"))
            said = done(await person.post(f"{talk}/messages", {"body": "Here I am", "mentions": [str(ana.id)]}))
            done(await ana.put(f"{talk}/messages/{said['seq']}/reactions/%F0%9F%91%8B"))
        done(await mia.patch(f"{talk}/messages/{said['seq']}", {"body": "Here I am, too"}))
        done(await mia.put(f"{talk}/messages/{said['seq']}/reactions/%F0%9F%91%8B"))
        done(await bob.post(f"{talk}/messages/{said['seq']}/reports", {"reason": "spam"}))
        done(await ana.patch(talk, {"title": "Old friends", "retention_days": 60}))
        done(await kim.delete(f"{talk}/membership"))
        done(await ana.delete(f"{talk}/members/{lee.id}"))
        request = done(await bob.put(f"/v1/users/{ana.id}/conversation"))
        done(await bob.post(f"/v1/conversations/{request['id']}/messages", {"body": "Good morning"}))
        await self.drain()

    async def quarrel(self) -> None:
        """Unfollow, mute, block, and make up again."""
        ana, bob, eve = self.world.ana, self.world.bob, self.world.eve
        done(await ana.put(f"/v1/users/{bob.id}/follow"))
        done(await ana.put(f"/v1/users/{eve.id}/mute"))
        done(await bob.delete(f"/v1/users/{ana.id}/follow"))
        done(await eve.put(f"/v1/users/{ana.id}/block"))
        await self.drain()
        done(await ana.delete(f"/v1/users/{eve.id}/mute"))
        done(await eve.delete(f"/v1/users/{ana.id}/block"))
        done(await bob.put(f"/v1/users/{ana.id}/follow"))
        done(await bob.post("/v1/posts", {"body": "And again"}))
        await self.drain()

    async def change_accounts(self) -> None:
        """Prove a mailbox, move to another one, forget a password, change it, and get a second factor."""
        world, ana, bob = self.world, self.world.ana, self.world.bob
        again = {"email": ana.email, "password": PASSWORD, "handle": "somebody_else", "name": "Not Ana"}
        done(await world.visitor.post("/v1/accounts", again))
        code = await self.code_for(bob.email, "verify_email")
        done(await world.visitor.put("/v1/email-verifications", {"code": code}))
        await world.sign_in(bob)
        done(await bob.post("/v1/me/email-change", {"email": "robert@example.org", "password": PASSWORD}))
        old = await self.code_for(bob.email, "change_email_old")
        new = await self.code_for("robert@example.org", "change_email_new")
        assert done(await world.visitor.put("/v1/email-changes", {"code": old})) == {"state": "waiting"}
        assert done(await world.visitor.put("/v1/email-changes", {"code": new})) == {"state": "changed"}
        bob.email = "robert@example.org"
        done(await world.visitor.post("/v1/password-resets", {"email": bob.email}))
        code = await self.code_for(bob.email, "reset_password")
        done(await world.visitor.put("/v1/password-resets", {"code": code, "password": OTHER_PASSWORD}))
        done(await world.sign_in(bob, OTHER_PASSWORD))
        done(await bob.put("/v1/me/password", {"current": OTHER_PASSWORD, "new": PASSWORD}))
        done(await bob.patch("/v1/me", {"name": "Robert", "handle": "robert"}))
        await self.change_factors()

    async def change_factors(self) -> None:
        """Turn a second factor on, sign in with it, and turn it off again; renew a session, end others."""
        world, ana = self.world, self.world.ana
        authenticator, codes = await enrol(world, ana)
        done(await world.sign_in(ana, recovery_code=codes[0], device="laptop"))
        renewed = done(await world.visitor.post("/v1/sessions/refresh", {"refresh_token": ana.refresh_token}))
        ana.token, ana.refresh_token = renewed["access_token"], renewed["refresh_token"]
        done(await ana.delete("/v1/sessions/others"))
        world.clock.advance(timedelta(minutes=1))
        totp = authenticator.at(world.parts.get(Clock).now())
        done(await ana.delete("/v1/me/totp", {"password": PASSWORD, "totp": totp}))
        done(await ana.get("/v1/me/export"))
        await self.drain()

    async def leave(self) -> None:
        """Deactivate and come back, be banned for a day, be erased."""
        world, admin = self.world, self.world.admin
        kim, lee, mia = (world.people[name] for name in ("kim", "lee", "mia"))
        for person in (kim, lee, mia):
            done(await person.post("/v1/posts", {"body": f"{person.handle} was here"}))
        await self.drain()
        done(await kim.put("/v1/me/deactivation", {"password": PASSWORD}))
        await self.drain()
        done(await world.sign_in(kim))
        ends = (world.clock.now() + timedelta(hours=12)).isoformat()
        done(await admin.put(f"/v1/admin/users/{lee.id}/ban", {"reason": "spam", "until": ends}))
        done(await admin.put(f"/v1/admin/users/{kim.id}/tier", {"tier": 3}))
        await self.drain()
        done(await mia.delete("/v1/me", {"password": PASSWORD}))
        await self.drain()

    async def let_time_pass(self) -> None:
        """Two days: bans end and the nightly jobs run; then so long that everything old is swept away."""
        for span in (timedelta(days=2), timedelta(days=70)):
            self.world.clock.advance(span)
            await self.drain()
