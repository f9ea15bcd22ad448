"""Settings: where values come from, which one wins, what is refused, and that no secret is ever shown."""

import multiprocessing
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from tenfold.settings import BadSettings, Settings, describe, load, markdown, with_secrets
from tenfold.settings.catalogue import known_fields, variable_of
from tenfold.settings.secrets import kept_secret

SECRET = "a-secret-that-nobody-may-ever-see-in-a-message"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def toml(folder: Path, text: str) -> Path:
    path = folder / "house.toml"
    path.write_text(text)
    return path


def faults(config: Path | None = None, **environ: str) -> str:
    with pytest.raises(BadSettings) as caught:
        load(config, environ=environ)
    return str(caught.value)


def test_without_anything_the_defaults_hold() -> None:
    """A newcomer needs no settings at all."""
    settings = load(environ={})

    assert (settings.http.host, settings.http.port, settings.stage) == ("127.0.0.1", 8000, 0)
    assert settings.database.url is None


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    """Whoever is nearer to the start of this one process decides."""
    config = toml(tmp_path, "[http]\nhost = '10.0.0.1'\nport = 1\ncompression = false\n[cache]\nmax_bytes = '1MiB'\n")

    settings = load(config, {"http.port": 3, "http.host": None}, {"TENFOLD_HTTP__PORT": "2", "TENFOLD_STAGE": "1"})

    assert (settings.http.host, settings.http.port, settings.http.compression) == ("10.0.0.1", 3, False)
    assert settings.cache.max_bytes == 1024**2
    sources = {setting.name: setting.source for setting in describe(settings)}
    assert sources["http.port"] == "command line"
    assert sources["stage"] == "environment"
    assert sources["http.host"] == str(config)
    assert sources["http.cors_origins"] == "default"


def test_the_file_is_found_in_the_environment_or_here(tmp_path: Path) -> None:
    """`TENFOLD_CONFIG` names it; else `tenfold.toml` in the present folder is read when there is one."""
    config = toml(tmp_path, "stage = 2")
    (tmp_path / "tenfold.toml").write_text("stage = 1")

    assert load(environ={"TENFOLD_CONFIG": str(config)}).stage == 2
    assert load(environ={}).stage == 1


def test_values_are_written_as_people_write_them() -> None:
    """Spans, sizes, rates and lists have a short form in the environment."""
    settings = load(
        environ={
            "TENFOLD_DATABASE__WAIT": "1.5s",
            "TENFOLD_HTTP__SHUTDOWN_GRACE": "7",
            "TENFOLD_CACHE__MAX_BYTES": "10MiB",
            "TENFOLD_LIMITS__EXTRAS__MAIL": "50/1m",
            "TENFOLD_LIMITS__TIERS": "1, 2,3",
            "TENFOLD_HTTP__CORS_ORIGINS": '["http://a.example", "http://b.example"]',
            "TENFOLD_HTTP__TRUSTED_PROXIES": "10.0.0.0/8,::1/128",
        }
    )

    assert settings.database.wait == timedelta(seconds=1.5)
    assert settings.http.shutdown_grace == timedelta(seconds=7)
    assert settings.cache.max_bytes == 10 * 1024**2
    assert settings.limits.extras == {"mail": (50, timedelta(minutes=1))}
    assert settings.limits.tiers == (1, 2, 3)
    assert settings.http.cors_origins == ("http://a.example", "http://b.example")
    assert [str(network) for network in settings.http.trusted_proxies] == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ({"TENFOLD_HTTP__PROT": "1"}, "TENFOLD_HTTP__PORT"),
        ({"TENFOLD_HTPP__PORT": "1"}, "TENFOLD_HTTP__PORT"),
        ({"TENFOLD_PORT": "1"}, "TENFOLD_HTTP__PORT"),
        ({"TENFOLD_TOKENS__KEYS_FILE": "/x"}, "TENFOLD_TOKENS__KEY"),
    ],
)
def test_an_unknown_variable_stops_the_start_with_the_nearest_name(given: dict[str, str], nearest: str) -> None:
    """A mistyped name must not silently leave the default in force."""
    message = faults(**given)

    assert next(iter(given)) in message
    assert f"did you mean {nearest}?" in message


def test_an_unknown_name_in_the_file_stops_the_start(tmp_path: Path) -> None:
    """The message has the full name, the type of what was given, the file, and the nearest known name."""
    config = toml(tmp_path, "[http]\nprot = 80\n")

    assert faults(config) == f"Settings: http.prot (a number, in {config}) is not a setting; did you mean http.port?"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TENFOLD_HTTP__PORT", "many"),
        ("TENFOLD_HTTP__PORT", "65536"),
        ("TENFOLD_HTTP__COMPRESSION", "perhaps"),
        ("TENFOLD_DATABASE__WAIT", "5 parsecs"),
        ("TENFOLD_DATABASE__WAIT", "0.00s"),
        ("TENFOLD_LIMITS__EXTRAS__MAIL", "many/1m"),
        ("TENFOLD_LIMITS__EXTRAS__MAIL", "00/1m"),
        ("TENFOLD_LIMITS__TIERS", ""),
        ("TENFOLD_LOG__LEVEL", "loud"),
        ("TENFOLD_HTTP__TRUSTED_PROXIES", "everybody"),
        ("TENFOLD_STAGE", "5"),
        ("TENFOLD_TRACES__RATIO", "1.1"),
    ],
)
def test_an_ill_typed_value_stops_the_start_without_being_repeated(variable: str, value: str) -> None:
    """The message says which setting, where, and what it must be; the value may be a secret in the wrong place."""
    message = faults(**{variable: value})

    assert variable.partition("__EXTRAS")[0] in message
    assert "must be" in message
    assert not value or value not in message


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    """TOML has both, and Python would take the one for the other."""
    assert "http.port must be a number" in faults(toml(tmp_path, "[http]\nport = true\n"))


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    """Nobody should have to start ten times to find ten mistakes."""
    config = toml(tmp_path, "stag = 1\n[http]\nport = 'x'\n[nope]\na = 1\n")

    message = faults(config, TENFOLD_FEED__HOME_CAP="x")

    assert all(name in message for name in ("stag ", "http.port", "nope", "feed.home_cap"))


@pytest.mark.parametrize(("text", "wrong"), [("port = ", "not valid TOML"), ("\x00", "not valid TOML")])
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str, wrong: str) -> None:
    """A syntax error is no traceback."""
    assert wrong in faults(toml(tmp_path, text))
    assert "there is no file" in faults(tmp_path / "absent.toml")


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """Orchestrators mount secrets as files; the newline at the end is the editor's."""
    (tmp_path / "key").write_text(SECRET + "\n")

    settings = load(environ={"TENFOLD_TOKENS__KEY_FILE": str(tmp_path / "key")})

    assert settings.tokens.key is not None
    assert settings.tokens.key.get_secret_value() == SECRET
    assert "both given" in faults(TENFOLD_TOKENS__KEY_FILE=str(tmp_path / "key"), TENFOLD_TOKENS__KEY=SECRET)


def test_a_secret_that_cannot_be_read_is_one_fault(tmp_path: Path) -> None:
    """What is wrong is the file; nobody gave an empty secret."""
    absent = faults(TENFOLD_TOKENS__KEY_FILE=str(tmp_path / "absent"))

    assert absent == ("Settings: TENFOLD_TOKENS__KEY_FILE names a file that cannot be read: No such file or directory")


def test_a_text_of_another_length_is_told_which_one_is_asked_for() -> None:
    """A key that is too short must be replaced, and its owner should not have to guess by what."""
    assert faults(TENFOLD_TOKENS__KEY=SECRET[:31]) == (
        "Settings: tokens.key must be a secret, at least 32 characters, and is text that is too short, "
        "in TENFOLD_TOKENS__KEY"
    )
    assert "a text, 1 to 60 characters, and is text that is too long" in faults(TENFOLD_IDENTITY__APP_NAME="x" * 61)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Neither what prints settings nor what complains about them repeats a secret."""
    given = {"TENFOLD_TOKENS__KEY": SECRET, "TENFOLD_DATABASE__URL": f"postgresql://u:{SECRET}@h/db"}

    settings = load(environ={**given, "TENFOLD_TOKENS__OLD_KEYS": f"{SECRET},{SECRET}"})

    shown = f"{settings!r} {settings} {describe(settings)} {settings.model_dump()}"
    assert SECRET not in shown
    assert SECRET[:31] not in faults(TENFOLD_TOKENS__KEY=SECRET[:31])
    assert SECRET not in faults(toml(tmp_path, f"[tokens]\nkey = ['{SECRET}']\n[tokens.{SECRET[:8]}]\na = 1\n"))


def test_settings_are_frozen() -> None:
    """They are read once; nothing may change them under a running part."""
    settings = load(environ={})

    with pytest.raises(ValueError, match="frozen"):
        settings.http.port = 1


def test_a_secret_that_nobody_gave_is_generated_once_at_stage_0(tmp_path: Path) -> None:
    """The second start must read what the first one made, or every session would end with a restart."""
    settings = load(overrides={"data": tmp_path / "data"}, environ={})

    first, second = with_secrets(settings), with_secrets(settings)

    assert first.tokens.key is not None
    assert first.tokens.key == second.tokens.key
    assert len(first.tokens.key.get_secret_value()) >= 32
    folder = tmp_path / "data" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()] == [("tokens.key", 0o600)]


def test_a_secret_is_asked_for_at_higher_stages(tmp_path: Path) -> None:
    """Several machines must share it, so none may invent its own."""
    settings = load(overrides={"data": tmp_path / "data"}, environ={"TENFOLD_STAGE": "1"})

    with pytest.raises(BadSettings, match="TENFOLD_TOKENS__KEY"):
        with_secrets(settings)
    assert not (tmp_path / "data").exists()


def test_half_a_secret_is_refused(tmp_path: Path) -> None:
    """A file that lost its end must stop the start, not become a guessable key."""
    path = tmp_path / "secrets" / "tokens.key"
    kept_secret(path)
    path.write_text("short")

    with pytest.raises(BadSettings, match="not whole"):
        kept_secret(path)


def test_starters_at_the_same_moment_get_the_same_secret(tmp_path: Path) -> None:
    """The first to finish wins, the others take what it made."""
    path = tmp_path / "secrets" / "tokens.key"

    with multiprocessing.get_context("fork").Pool(4) as starters:
        secrets = starters.map(kept_secret, [path] * 16)

    assert len(set(secrets)) == 1
    assert [file.name for file in path.parent.iterdir()] == ["tokens.key"]


def test_every_setting_has_a_sentence_and_a_variable_that_is_read() -> None:
    """Documentation is part of a setting, and each name of the page works."""
    for setting in describe():
        assert setting.sentence.endswith("."), setting.name
        assert setting.variable == variable_of(setting.name)
    assert set(known_fields()) == {setting.name for setting in describe(Settings())}
    assert all(f"`{name}`" in markdown() for name in known_fields())
