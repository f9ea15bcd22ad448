"""The viewer: the OpenAPI document as one HTML page that needs no network and no script of others."""

import html
from typing import Any

import msgspec

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; text-transform: capitalize; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; }
summary { padding: .45rem .8rem; cursor: pointer; display: flex; gap: .8rem; align-items: baseline; }
summary code { font-weight: 600; } summary span { margin-left: auto; opacity: .7; text-align: right; }
section { padding: 0 1rem 1rem; }
.m { display: inline-block; width: 4.2rem; font-weight: 700; font-family: monospace; }
.GET { color: #2a7d4f; } .POST { color: #2563b0; } .PUT, .PATCH { color: #a8650c; } .DELETE { color: #b3342d; }
table { border-collapse: collapse; width: 100%; }
td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
pre { background: var(--soft); padding: .7rem; border-radius: 6px; overflow: auto; }
input { font: inherit; width: 100%; padding: .5rem .7rem; border-radius: 6px; background: transparent; }
input { border: 1px solid var(--line); }
"""
_SCRIPT = """
const box = document.querySelector('input');
box.addEventListener('input', () => {
  const wanted = box.value.toLowerCase();
  for (const door of document.querySelectorAll('details[data-door]'))
    door.hidden = !door.dataset.door.includes(wanted);
});
"""
CONTENT_SECURITY_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page_of(document: dict[str, Any]) -> bytes:
    """The page. Everything on it comes from the document; texts are escaped."""
    tags: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tags[operation["tags"][0]].append(_operation(method.upper(), path, operation))
    title = html.escape(document["info"]["title"])
    groups = "".join(f"<h2>{html.escape(tag)}</h2>{''.join(doors)}" for tag, doors in tags.items())
    schemas = "".join(
        f"<details id='schema-{html.escape(name)}'><summary><code>{html.escape(name)}</code></summary>"
        f"<section>{_pretty(schema)}</section></details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title} {html.escape(document['info']['version'])}</h1>"
        f"<p>{html.escape(document['info']['description'])} "
        f"The same as a document: <a href='/openapi.json'>openapi.json</a>.</p>"
        f"<input type='search' placeholder='Filter by method, path or text' aria-label='Filter'>"
        f"{groups}<h2>Shapes</h2>{schemas}<script>{_SCRIPT}</script></html>"
    ).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    words = html.escape(f"{method} {path} {operation['summary']}".lower(), quote=True)
    rows = "".join(_parameter(parameter) for parameter in operation["parameters"])
    table = f"<h4>Parameters</h4><table>{rows}</table>" if rows else ""
    body = operation.get("requestBody")
    asked = f"<h4>Body</h4>{_pretty(body['content']['application/json']['schema'])}" if body else ""
    answers = "".join(_answer(status, response) for status, response in operation["responses"].items())
    lock = "needs an access token" if operation.get("security") == [{"bearer": []}] else ""
    return (
        f"<details data-door='{words}'><summary><b class='m {method}'>{method}</b><code>{html.escape(path)}</code>"
        f"<span>{html.escape(operation['summary'])}</span></summary><section>"
        f"<p>{html.escape(operation['description'])} <i>{lock}</i></p>"
        f"{table}{asked}<h4>Answers</h4><table>{answers}</table></section></details>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    need = "required" if parameter.get("required") else "optional"
    schema = html.escape(msgspec.json.encode(parameter["schema"]).decode())
    return (
        f"<tr><td><code>{html.escape(parameter['name'])}</code></td><td>{parameter['in']}, {need}</td>"
        f"<td><code>{schema}</code> {html.escape(parameter.get('description', ''))}</td></tr>"
    )


def _answer(status: str, response: dict[str, Any]) -> str:
    text = "<br>".join(html.escape(line) for line in response["description"].split("\n\n"))
    content = response.get("content", {}).get("application/json")
    return f"<tr><td><b>{status}</b></td><td>{text}{_pretty(content['schema']) if content else ''}</td></tr>"


def _pretty(schema: Any) -> str:
    text = html.escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
    return f"<pre>{text}</pre>"
