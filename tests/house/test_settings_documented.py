"""The page of settings is the one that the code writes."""

from pathlib import Path

from tenfold.settings import markdown

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_current() -> None:
    """Whoever adds a setting also publishes it: `tenfold show settings --markdown > docs/settings.md`."""
    assert PAGE.read_text() == markdown()
