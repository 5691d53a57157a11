"""The built pages load nothing from another host, and have the switch between light and dark: `nox -s docs` runs it."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
LINKS_THAT_LOAD = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
FOREIGN = re.compile(r"(?:https?:)?//")


class Page(HTMLParser):
    """What a page loads, as it is written in the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and LINKS_THAT_LOAD & set((given.get("rel") or "").split()):
            self.loaded.append(given.get("href") or "")
        elif tag in LOADS:
            self.loaded.append(given.get(LOADS[tag]) or "")
        elif tag == "use":
            self.loaded.append(given.get("href") or given.get("xlink:href") or "")


def faults(site: Path) -> list[str]:
    found = []
    for path in sorted(site.rglob("*.html")):
        text = path.read_text()
        name = path.relative_to(site)
        loaded = [one for one in Page(text).loaded if one and not one.startswith(("data:", "#"))]
        found += [f"{name} loads {one}" for one in loaded if FOREIGN.match(one)]
        local = [unquote(one.partition("?")[0].partition("#")[0]) for one in loaded if not FOREIGN.match(one)]
        found += [
            f"{name} loads {one}, which is not there"
            for one in local
            if not (site / one.lstrip("/") if one.startswith("/") else path.parent / one).exists()
        ]
        if 'class="mermaid"' in text and "javascripts/mermaid.min.js" not in text:
            found.append(f"{name} has a diagram, whose script the theme would load from another host")
        if path.name == "index.html" and "data-md-color-scheme=slate" not in re.sub(r'"', "", text):
            found.append(f"{name} has no dark mode")
    for path in sorted(site.rglob("*.css")):
        found += [
            f"{path.relative_to(site)} loads {url}"
            for url in re.findall(r"url\([\"']?((?:https?:)?//[^)]+)", path.read_text())
        ]
    return found


if __name__ == "__main__":
    site = Path(sys.argv[1])
    assert len(list(site.rglob("*.html"))) > 30, f"{site} is not the built site"
    sys.exit("\n".join(faults(site)) or None)
