"""Pages as a browser reads them."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The document: its tags with their attributes, and the text that a reader sees."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self._hidden = [], [], False
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in ("style", "script")

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def lines(self, kind):
        return {
            attrs["data-series"]: attrs["d"]
            for attrs in self.all("path")
            if "data-series" in attrs and attrs["class"].startswith(kind)
        }
