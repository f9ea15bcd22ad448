"""The templates of mails: what is filled in, escaped and refused."""

from pathlib import Path

import pytest

from tenfold.platform.mail.templates import TemplateError, Templates, mail_folders
from tenfold.platform.module import Module

CONTENT = """
<mj-section><mj-column>
  <mj-text>Hello {{ name }}, welcome to {{ app }}.</mj-text>
  <mj-button href="{{ link }}">Confirm</mj-button>
</mj-column></mj-section>
"""
TEXT = "Welcome, {{ name }}\n\nHello {{ name }},\nopen {{ link }}\n"
LINK = "https://tenfold.example/verify?a=1&b=2"


def write(folder: Path, name: str, content: str = CONTENT, text: str = TEXT) -> None:
    (folder / f"{name}.mjml").write_text(content)
    (folder / f"{name}.txt").write_text(text)


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    write(tmp_path, "welcome")
    return Templates({"identity": tmp_path}, app="Tenfold", home="https://tenfold.example")


def test_a_template_is_filled_in(templates: Templates) -> None:
    """Subject, text and HTML come from two files and a layout that all mails share."""
    mail = templates.render("identity/welcome", "ana@example.org", name="Ana", link=LINK)

    assert (mail.to, mail.subject, mail.template) == ("ana@example.org", "Welcome, Ana", "identity/welcome")
    assert mail.text == f"Hello Ana,\nopen {LINK}\n"
    assert mail.html.startswith("<!doctype html>")
    assert "Hello Ana, welcome to Tenfold." in mail.html
    assert 'href="https://tenfold.example/verify?a=1&amp;b=2"' in mail.html
    assert "{{" not in mail.html + mail.text + mail.subject


def test_values_are_not_markup(templates: Templates) -> None:
    """Somebody who calls himself a script, a line break or a blank is shown as he wrote it, and no more."""
    evil = '<script>x</script>"\r\nBcc: eve@example.org {{ link }}'

    mail = templates.render("identity/welcome", "ana@example.org", name=evil, link=LINK)

    assert "<script>" not in mail.html
    assert "&lt;script&gt;x&lt;/script&gt;&quot;" in mail.html
    assert mail.subject == 'Welcome, <script>x</script>" Bcc: eve@example.org {{ link }}'


def test_nothing_is_fetched_from_elsewhere(templates: Templates) -> None:
    """Fonts or pictures of other hosts would tell them who reads what, and when."""
    mail = templates.render("identity/welcome", "ana@example.org", name="Ana", link=LINK)

    assert "fonts.googleapis" not in mail.html
    assert "@import" not in mail.html


@pytest.mark.parametrize(
    ("values", "named"), [({"name": "Ana"}, "link"), ({"name": "Ana", "link": LINK, "typo": 1}, "typo")]
)
def test_missing_and_unknown_values_are_named(templates: Templates, values: dict[str, object], named: str) -> None:
    """A mail with a hole in it is never sent."""
    with pytest.raises(TemplateError, match=named):
        templates.render("identity/welcome", "ana@example.org", **values)


@pytest.mark.parametrize("name", ["identity/absent", "feed/welcome", "welcome", "identity/../welcome", ""])
def test_an_absent_template_is_named(templates: Templates, name: str) -> None:
    """A name leads to a file of its module's folder, or nowhere."""
    with pytest.raises(TemplateError, match="there is no"):
        templates.render(name, "ana@example.org")


@pytest.mark.parametrize(
    ("content", "text", "complaint"),
    [
        ("<mj-section>", TEXT, "unexpected end"),
        ("<mj-section><mj-column><mj-txt>x</mj-txt></mj-column></mj-section>", TEXT, "mj-txt"),
        (CONTENT, "Subject only", "an empty line"),
        (CONTENT, "Subject\nText", "an empty line"),
        (CONTENT, "Hi {{name}}\n\nText\n", "a blank is written"),
        (CONTENT, "Hi\n\n{{ Name }}\n", "a blank is written"),
    ],
)
def test_a_template_that_is_not_well_written_is_refused(
    tmp_path: Path, content: str, text: str, complaint: str
) -> None:
    """What is wrong is said where it is wrong, before anything is sent."""
    write(tmp_path, "broken", content, text)

    with pytest.raises(TemplateError, match=complaint):
        Templates({"identity": tmp_path}, app="Tenfold", home="x").render("identity/broken", "ana@example.org")


def test_templates_and_their_blanks_can_be_listed(templates: Templates) -> None:
    """A standing test renders every template of the house."""
    assert templates.names() == ["identity/welcome"]
    assert templates.blanks("identity/welcome") == {"name", "link"}


def test_the_folders_of_modules_are_found() -> None:
    """Only modules that have a folder `mails` are asked."""
    folders = mail_folders([Module(name="cache", package="tenfold.platform.cache")])

    assert folders == {}
