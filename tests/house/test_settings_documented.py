"""Settings are documented, obeyed, and agree with what the parts would do without them."""

import re
from pathlib import Path

import pytest

import tenfold
from tenfold.modules.feed.shapes import FeedPolicy
from tenfold.modules.identity import IdentityPolicy, PasswordPolicy
from tenfold.platform.db import PoolSizes
from tenfold.platform.limits.policy import LimitPolicy
from tenfold.settings import Settings, describe, markdown

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
SOURCE = Path(tenfold.__file__).parent
READERS = [
    *sorted((SOURCE / "assembly").glob("*.py")),
    SOURCE / "settings" / "secrets.py",
    *sorted((SOURCE / "entry").rglob("*.py")),
]


def test_the_page_of_settings_is_current() -> None:
    """Whoever adds a setting also publishes it: `tenfold show settings --markdown > docs/settings.md`."""
    assert PAGE.read_text() == markdown()


@pytest.mark.parametrize("name", [setting.name for setting in describe()])
def test_every_setting_is_read(name: str) -> None:
    """A setting that nobody obeys is a promise not kept. Whole sections go to values that take no unknown name."""
    section, _, last = name.rpartition(".")
    text = "\n".join(path.read_text() for path in READERS)

    assert re.search(rf"\.{last}\b", text) or re.search(rf"settings\.{section}\.model_dump\(", text)


def test_the_defaults_are_the_parts_own() -> None:
    """A part that is built by hand, in a test or a benchmark, behaves as one that is built from settings."""
    settings = Settings()
    identity, database = settings.identity, settings.database

    assert FeedPolicy(**settings.feed.model_dump()) == FeedPolicy()
    assert PasswordPolicy(**settings.passwords.model_dump()) == PasswordPolicy()
    assert LimitPolicy(**settings.limits.model_dump(exclude={"enabled", "extras"})) == LimitPolicy()
    assert (
        PoolSizes(
            read=database.read_connections,
            write=database.write_connections,
            wait=database.wait,
            read_timeout=database.read_timeout,
            write_timeout=database.write_timeout,
        )
        == PoolSizes()
    )
    policy = IdentityPolicy()
    for name, value in identity.model_dump(exclude={"verified_only", "reserved_handles"}).items():
        own = getattr(policy, name)
        assert value == (own if not hasattr(own, "period") else (own.calls, own.period)), name
    assert settings.tokens.access_lifetime == policy.access_token_lasts
    assert settings.tokens.refresh_grace == policy.refresh_grace
