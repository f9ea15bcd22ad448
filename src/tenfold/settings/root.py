"""The settings as a whole: every section, in the order in which they are documented."""

from pathlib import Path

from pydantic import Field, PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tenfold.settings.ground import Cache, Database, Gateway, Http, Jobs, Limits, Log, Mail, Realtime, Redis, Traces
from tenfold.settings.product import Chat, Feed, Identity, Passwords, Tokens
from tenfold.settings.values import Folder

PREFIX = "TENFOLD_"
NESTING = "__"


class Settings(BaseSettings):
    """Every setting, typed and frozen. Made by `load`; the bare class is the defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTING,
        enable_decoding=False,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    stage: int = Field(default=0, ge=0, le=4, description="The step of the ladder; from 1 on, secrets must be given.")
    data: Folder = Field(
        default=Path("tenfold-data"), description="The folder of everything that is kept on this machine."
    )
    http: Http = Field(default_factory=Http)
    database: Database = Field(default_factory=Database)
    redis: Redis = Field(default_factory=Redis)
    cache: Cache = Field(default_factory=Cache)
    limits: Limits = Field(default_factory=Limits)
    jobs: Jobs = Field(default_factory=Jobs)
    realtime: Realtime = Field(default_factory=Realtime)
    gateway: Gateway = Field(default_factory=Gateway)
    mail: Mail = Field(default_factory=Mail)
    tokens: Tokens = Field(default_factory=Tokens)
    passwords: Passwords = Field(default_factory=Passwords)
    identity: Identity = Field(default_factory=Identity)
    feed: Feed = Field(default_factory=Feed)
    chat: Chat = Field(default_factory=Chat)
    log: Log = Field(default_factory=Log)
    traces: Traces = Field(default_factory=Traces)

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917 - the library's signature
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given and read nothing: `load` reads each source by itself, to know where a value is from."""
        return (init_settings,)

    def origin_of(self, name: str) -> str:
        """Where the value of a setting is from: the environment, a file, the command line, or `default`."""
        return self._origins.get(name, "default")

    def came_from(self, origins: dict[str, str]) -> "Settings":
        """These settings, with where their values are from."""
        self._origins.update(origins)
        return self
