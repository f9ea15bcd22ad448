"""Secrets that nobody gave: generated once into the data folder at stage 0, asked for at every other."""

import contextlib
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from tenfold.settings.catalogue import value_of, variable_of
from tenfold.settings.faults import BadSettings
from tenfold.settings.product import SHORTEST_KEY
from tenfold.settings.root import Settings

NEEDED = ("tokens.key",)
"""The settings without which nothing can start."""


def with_secrets(settings: Settings) -> Settings:
    """The settings with every needed secret: as given, else kept in `<data>/secrets` at stage 0.

    Raises `BadSettings` at a higher stage, and when the folder cannot be written. Two that start at once get the same.
    """
    missing = [name for name in NEEDED if value_of(settings, name) is None]
    if missing and settings.stage > 0:
        raise BadSettings([_required(name, settings.stage) for name in missing])
    for name in missing:
        path = settings.data / "secrets" / name
        settings = _replaced(settings, name, SecretStr(kept_secret(path))).came_from({name: f"generated, {path}"})
    return settings


def _required(name: str, stage: int) -> str:
    return (
        f"{name} must be given at stage {stage}: {SHORTEST_KEY} random characters or more in {variable_of(name)}, "
        f"or a file with them in {variable_of(name)}_FILE"
    )


def _replaced(settings: Settings, name: str, value: SecretStr) -> Settings:
    section, _, field = name.partition(".")
    changed = getattr(settings, section).model_copy(update={field: value})
    return settings.model_copy(update={section: changed})


def kept_secret(path: Path) -> str:
    """The secret in a file, made at random when there is none: readable by its owner only, complete or not there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        if not path.exists():
            _create(path, secrets.token_urlsafe(48))
        path.chmod(0o600)
        secret = path.read_text().strip()
    except OSError as error:
        raise BadSettings([f"the secret {path} can be neither read nor made: {error.strerror}; see `data`"]) from None
    if len(secret) < SHORTEST_KEY:
        raise BadSettings([f"the secret {path} is not whole; put back its copy, or remove it to have a new one made"])
    return secret


def _create(path: Path, secret: str) -> None:
    """Write beside, then link into place: the first of several wins, and no reader sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink()
