"""The templates of mails: MJML inside one layout for the HTML part, plain text for the other, with named blanks.

A module keeps them in its folder `mails/`: `verify_email.mjml` holds `<mj-section>`s that go into the layout, and
`verify_email.txt` the subject in its first line, an empty line, and the text. `{{ name }}` is a blank in both.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import mjml

from tenfold.platform.mail import Mail
from tenfold.platform.mail.message import one_line
from tenfold.platform.module import Module

_BLANK = re.compile(r"\{\{ ([a-z][a-z0-9_]*) \}\}")
_LAYOUT = Path(__file__).with_name("layout.mjml")
_SLOT = "<!-- content -->"


class TemplateError(ValueError):
    """A template is not there, is not written as it must be, or was given other values than it has blanks."""


def mail_folders(modules: Iterable[Module]) -> dict[str, Path]:
    """Where the modules that send mails keep their templates: the module's name → its folder `mails`."""
    folders: dict[str, Path] = {}
    for module in modules:
        spec = find_spec(module.package)
        places = (spec.submodule_search_locations or []) if spec else []
        folders.update((module.name, Path(place) / "mails") for place in places if (Path(place) / "mails").is_dir())
    return folders


@dataclass(frozen=True, slots=True)
class _Compiled:
    subject: str
    text: str
    html: str
    blanks: frozenset[str]


class Templates:
    """Renders the mails of all modules. A template is compiled when it is first used, and kept."""

    def __init__(self, folders: Mapping[str, Path], *, app: str, home: str) -> None:
        """`app` is what the installation is called and `home` its address: every template may use both."""
        self._folders = folders
        self._always = {"app": app, "home": home}
        self._compiled: dict[str, _Compiled] = {}

    def render(self, template: str, to: str, /, *, unsubscribe: str | None = None, **values: object) -> Mail:
        """Fill in `module/name` for one recipient. Raises `TemplateError` when a value is missing or has no blank.

        Values are escaped in the HTML part, and put on one line in the subject.
        """
        compiled = self._compiled.get(template) or self._compile(template)
        missing = compiled.blanks - values.keys() - self._always.keys()
        unknown = values.keys() - compiled.blanks
        if missing or unknown:
            raise TemplateError(f"{template}: values missing {sorted(missing)}, without a blank {sorted(unknown)}")
        texts = {**self._always, **{name: str(value) for name, value in values.items()}}
        return Mail(
            to=to,
            subject=one_line(_fill(compiled.subject, texts, str)),
            text=_fill(compiled.text, texts, str),
            html=_fill(compiled.html, texts, html.escape),
            template=template,
            unsubscribe=unsubscribe,
        )

    def names(self) -> list[str]:
        """Every template, as `module/name`."""
        return sorted(f"{module}/{file.stem}" for module, at in self._folders.items() for file in at.glob("*.mjml"))

    def blanks(self, template: str) -> frozenset[str]:
        """The names of the values that a template must be given."""
        compiled = self._compiled.get(template) or self._compile(template)
        return compiled.blanks - self._always.keys()

    def _compile(self, template: str) -> _Compiled:
        module, _, name = template.partition("/")
        folder = self._folders.get(module)
        if folder is None or not re.fullmatch(r"[a-z0-9_]+", name):
            raise TemplateError(f"there is no template {template}")
        try:
            content = (folder / f"{name}.mjml").read_text("utf-8")
            subject, _, text = (folder / f"{name}.txt").read_text("utf-8").partition("\n")
        except FileNotFoundError as error:
            raise TemplateError(f"{template}: there is no {error.filename}") from error
        markup = _to_html(template, content)
        blanks = frozenset().union(*(_blanks(template, part) for part in (subject, text, markup)))
        if not subject.strip() or not text.startswith("\n"):
            raise TemplateError(f"{template}: {name}.txt is a subject, an empty line, and the text")
        compiled = self._compiled[template] = _Compiled(subject.strip(), text[1:], markup, blanks)
        return compiled


def _to_html(template: str, content: str) -> str:
    # Without `fonts`, MJML lets every reader's mail program fetch fonts from elsewhere, which tells who reads what.
    try:
        markup = mjml.mjml2html(_LAYOUT.read_text("utf-8").replace(_SLOT, content), fonts={})
    except ValueError as error:
        raise TemplateError(f"{template}: {error}") from error
    unknown = re.search(r"<(mj-[a-z-]+)", markup)
    if unknown:
        raise TemplateError(f"{template}: MJML has no element {unknown[1]}")
    return markup


def _blanks(template: str, text: str) -> set[str]:
    if "{{" in _BLANK.sub("", text):
        raise TemplateError(f"{template}: a blank is written {{{{ name }}}}")
    return set(_BLANK.findall(text))


def _fill(text: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    return _BLANK.sub(lambda blank: escape(values[blank[1]]), text)
