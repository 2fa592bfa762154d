"""A crash report as one HTML page that needs nothing else. All that comes from the guest is text:
escaped, and never in a script, a style or an address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from wdbg.analysis.crash.report import Document
from wdbg.analysis.crash.text import visible

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       color: #1d1d1f; background: #fff }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem }
pre, td, code { font: 12.5px/1.4 ui-monospace, monospace }
pre { background: #f5f5f7; padding: .6rem .8rem; overflow-x: auto; margin: .3rem 0 }
table { border-collapse: collapse } td, th { padding: .1rem .8rem .1rem 0; text-align: left }
.here { background: #ffe3a6; display: block } .bad { color: #b00020 }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161618 }
  pre { background: #232326 } .here { background: #5a4500 } .bad { color: #ff8a80 } }
"""


def html_page(document: Document) -> str:
    """The whole page."""
    what = document["what"]
    title = f"{what['kind']}: {what['title']}"
    body = "\n".join(_body(document))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_text(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _text(text: object) -> str:
    return escape(visible(str(text)))


def _pre(lines: Iterable[object]) -> str:
    return "<pre>" + "\n".join(map(_text, lines)) + "</pre>"


def _body(document: Document) -> Iterator[str]:
    what, task = document["what"], document["task"]
    on = "" if task["cpu"] is None else f" on CPU {task['cpu']}"
    yield f"<p>in {_text(task['name'])}{_text(on)}, tick {_text(what['tick'])}; "
    yield f"signature <code>{_text(document['signature'])}</code></p>"
    yield _pre([what["message"], *what["details"]])
    where = document["where"]
    if where is not None:
        yield f"<h2>{_text(where['function'])}() at {_text(where['file'])}:{where['line']}</h2>"
        if where["source"]:
            lines = []
            for number, text in where["source"]:
                here = ' class="here"' if number == where["line"] else ""
                lines.append(f"<span{here}>{int(number):>5} {_text(text)}</span>")
            yield "<pre>" + "\n".join(lines).replace("</span>\n", "</span>") + "</pre>"
    yield "<h2>Backtrace</h2>"
    for call in document["backtrace"]:
        if call["locals"]:
            yield f"<details open><summary><code>{_text(call['text'])}</code></summary>"
            yield f"{_pre(call['locals'])}</details>"
        else:
            yield f"<div><code>{_text(call['text'])}</code></div>"
    if document["problems"]:
        yield '<h2 class="bad">Inconsistencies</h2>' + _pre(document["problems"])
    for item in document["objects"]:
        yield f"<details><summary>{_text(item['owner'])}</summary>"
        yield _pre([*item["pointers"], item["before"], *item["contents"]]) + "</details>"
    yield "<h2>CPUs</h2>" + _pre(document["cpus"])
    if document["waits"]:
        yield "<h2>Waits and locks</h2>" + _pre([document["waits"]])
    yield "<h2>Tasks</h2><table><tr><th>task<th>pid<th>state<th>CPU<th>in</tr>"
    for row in document["tasks"]:
        cells = (
            row["name"], row["pid"], row["state"], "" if row["cpu"] is None else row["cpu"],
            " < ".join(row["frames"][:6]),
        )  # fmt: skip
        yield "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"
    yield "</table>"
    yield "<h2>Stack use</h2><table><tr><th>task<th>now<th>most<th>of<th>end</tr>"
    for row in document["stacks"]:
        cells = (
            row["task"], row["now"], row["most"], row["size"],
            "whole" if row["intact"] else "written over",
        )  # fmt: skip
        yield "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"
    yield "</table>"
    for cpu, lines in document["events"].items():
        yield f"<h2>Last events of CPU {_text(cpu)}</h2>" + _pre(lines)
    yield "<h2>Kernel log</h2>" + _pre(document["dmesg"])
    if document["replay"]:
        yield "<h2>Run it again</h2>" + _pre([document["replay"]])
    if document["notes"]:
        yield "<h2>Missing or damaged</h2>" + _pre(document["notes"])
