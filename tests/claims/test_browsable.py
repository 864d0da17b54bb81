"""The report's pages for a browser say what the Markdown pages say; tests/browse.py opens them in one."""

import html.parser
import shutil

import pytest

from grokjax import catalogue
from grokjax.claims import registry, words
from grokjax.cli import reporting
from grokjax.cli.places import reference

NAMES = ["width-small", "minimum_norm-paper"]


class Read(html.parser.HTMLParser):
    """A page's text without its styles and scripts, the rows of its table of claims, and what it refers to."""

    def __init__(self, path):
        super().__init__()
        self.text, self.rows, self.addresses, self._open = "", [], [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        self._open.append(tag)
        self.addresses += [of[name] for name in ("src", "href") if name in of]
        if tag == "tr":
            self.rows.append((of.get("data-outcome"), []))
        if tag == "td":
            self.rows[-1][1].append([of.get("data-key"), ""])

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, text):
        if not {"style", "script"} & set(self._open):
            self.text += text
            if "td" in self._open:
                self.rows[-1][1][-1][1] += text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report in HTML on two shipped results."""
    where = tmp_path_factory.mktemp("report")
    (where / "results" / "pku").mkdir(parents=True)
    for name in NAMES:
        for suffix in (".npz", ".png"):
            shutil.copy(reference() / "pku" / f"{name}{suffix}", where / "results" / "pku")
    reporting.report_command(
        ["report", "--html", f"--folder={where / 'results'}", f"--out={where / 'html' / 'index.html'}"]
    )
    shutil.move(where / "html", where / "moved")  # a report can be moved as a whole
    return where


def test_the_index_has_each_claim_with_its_words_and_sorts_verdicts_in_their_order(folder):
    _, found = reporting.judged([folder / "results"])
    (_, head), *rows = Read(folder / "moved" / "index.html").rows
    rules = [(study, rule) for study in catalogue.studies() for rule in registry(study).values()]
    assert not head and len(rows) == len(rules)
    order = list(words.MEANING)
    for (study, rule), (outcome, cells) in zip(rules, rows, strict=True):
        one = words.best(rule, found[study])
        texts = [text for _, text in cells]
        assert texts[0].split()[0] == rule.id and texts[1] == rule.statement and texts[2] == words.verdict(one)
        assert texts[4] == ("" if one is None else str(one.runs))
        assert outcome == words.outcome(one) == order[int(cells[2][0])]
        assert one is None or all(words.numbers(part) in texts[3] for part in one.parts[:3] if not part.unknown)


def test_every_claim_has_a_page_with_the_words_of_the_markdown_and_its_picture(folder):
    markdown = folder / "markdown"
    reporting.report_command(
        ["report", f"--folder={folder / 'results'}", f"--out={markdown / 'R.md'}", f"--pages={markdown}"]
    )
    sections = (markdown / "pku.md").read_text().split('<a id="')[1:]
    for rule, section in zip(registry("pku").values(), sections, strict=True):
        page = Read(folder / "moved" / "pku" / f"{rule.id.lower()}.html")
        heading = next(line for line in section.splitlines() if line.startswith("## "))[3:]
        reason = section.split("\n\n")[3]
        measured = next(line for line in section.splitlines() if line.startswith("Measured: "))
        for said in (heading, reason, measured):
            assert said.replace("*", "").replace("`", "") in page.text, rule.id
    page = Read(folder / "moved" / "pku" / "pku-p8.html")
    assert "grokjax explore pku/minimum_norm --preset=paper" in page.text
    assert "../figures/pku/minimum_norm-paper.png" in page.addresses


def test_what_the_pages_refer_to_is_there_and_nothing_lies_outside_their_folder(folder):
    pages = list((folder / "moved").rglob("*.html"))
    assert len(pages) == 1 + sum(len(registry(study)) for study in catalogue.studies())
    for page in pages:
        for address in Read(page).addresses:
            target = (page.parent / address).resolve()
            inside = target.is_relative_to((folder / "moved").resolve()) and target.exists()
            assert inside or address == "data:," or address.startswith("https://"), (page.name, address)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--html", "--out=R.md"], "does not end in .html"),
        (["--out=index.html"], "does not end in .md"),
        (["--html", "--readme=README.md"], "without --html"),
    ],
)
def test_a_mix_of_html_and_markdown_is_refused(capsys, arguments, said):
    with pytest.raises(SystemExit):
        reporting.report_command(["report", *arguments])
    told = capsys.readouterr().err
    assert said in told and len(told.strip().splitlines()) == 1
