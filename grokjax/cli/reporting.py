"""The verbs `report` and `list`: which claims replicate, and every experiment. Needs no JAX."""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from grokjax import catalogue
from grokjax.claims import Files, browsable, judge_all, kept, registry, words
from grokjax.claims.pages import Found, index, page, study_rows
from grokjax.cli.drawing import draw_all
from grokjax.cli.places import OWN, drawn_to, reference, results_in
from grokjax.config import ConfigError
from grokjax.messages import say, show

REPORT_DOC = """Judges every claim whose results exist, and writes report/REPORT.md and a page for each study.

Reads results/ first, and for what is not there the results that ship; --folder reads another folder alone. With --html
it writes report/index.html instead, to be opened in a browser: every claim in one table that sorts, and a page each."""
LIST_DOC = """Lists every experiment: title, minutes of its quick preset on two cores, verdicts of its claims.

'-' stands where no minutes are recorded: there is no such preset, or it has not been run."""


def report_command(argv: Sequence[str]) -> None:
    """`grokjax report`."""
    values = flags.FlagValues()
    flags.DEFINE_string("folder", None, "where the results are: STUDY/EXPERIMENT-PRESET.npz", flag_values=values)
    place = "the index; default: report/REPORT.md, or report/index.html, with the rest of its folder"
    flags.DEFINE_string("out", None, place, flag_values=values)
    flags.DEFINE_boolean("html", False, "write pages for a browser, instead of Markdown", flag_values=values)
    flags.DEFINE_string(
        "pages", None, "the folder of the studies' pages; default: studies beside it", flag_values=values
    )
    flags.DEFINE_string("readme", None, "a README whose table of studies is renewed too", flag_values=values)
    flags.DEFINE_boolean("draw", False, "draw every result of --folder beside it first", flag_values=values)
    if not _read(values, argv, REPORT_DOC):
        return
    try:
        if values.folder and not Path(values.folder).is_dir():
            raise ValueError(f"folder={values.folder} is not a folder. Try --folder=results.")
        suffix, usual = (".html", "report/index.html") if values.html else (".md", "report/REPORT.md")
        out = Path(values.out or usual)
        pages = Path(values.pages or out.parent / "studies")
        if out.suffix != suffix:
            raise ValueError(f"out={out} does not end in {suffix}. Try --out={usual}.")
        if values.html and values.readme:
            raise ValueError("A README is renewed with the Markdown pages. Try without --html, or without --readme.")
        folders = [Path(values.folder)] if values.folder else [OWN, reference()]
        if values.draw and not draw_all(folders[0]):
            sys.exit(1)
        files, found = judged(folders)
        pictures = _pictures(files)
        if values.html:
            texts = browsable.pages(found, files, browsable.copied(pictures, out.parent), out)
        else:
            texts = {out: index(found, out, pages)}
            texts |= {
                path: page(study, judgements, files, path, pictures)
                for study, judgements in found.items()
                for path in [pages / f"{study}.md"]
            }
            if values.readme:
                texts[Path(values.readme)] = _renewed(Path(values.readme), found, pages)
        for path, whole in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(whole, encoding="utf-8")
        kept.keep(folders[0], found, files)
    except OSError as error:
        _end(argv, f"{error.filename}: {error.strerror}. Try another path.")
    except (ConfigError, ValueError) as error:
        _end(argv, str(error))
    for study, judgements in found.items():
        outcomes = [words.outcome(words.best(rule, judgements)) for rule in registry(study).values()]
        show(f"{study}: of {len(outcomes)} claims {words.counts(outcomes)}")
    more = f", and {len(texts) - 1} pages in its folder: open it in a browser"
    show(f"wrote   {out}{more}" if values.html else "\n".join(f"wrote   {path}" for path in texts))


def list_command(argv: Sequence[str]) -> None:
    """`grokjax list`."""
    if not _read(flags.FlagValues(), argv, LIST_DOC):
        return
    folders = [OWN, reference()]
    files = results_in(folders)
    verdicts = {
        study: kept.read(folders, study, files) or kept.in_words(study, judge_all(study, files))
        for study in catalogue.studies()
    }
    for name in catalogue.experiments():
        study, _, short = name.partition("/")
        record = catalogue.records(study).get(short, {}).get("quick")
        minutes = f"{record.minutes:g} min" if record else "-"
        rules = [rule for rule in registry(study).values() if short in rule.results]
        show(f"{name:<24} {minutes:>8}  {catalogue.title(name)}")
        if rules:
            show(f"{'':<34}{'; '.join(f'{rule.id} {verdicts[study][rule.id]}' for rule in rules)}")


def judged(folders: Sequence[Path]) -> tuple[Files, Found]:
    """The results of some folders, and what they say of every study's claims."""
    files = results_in(folders)
    return files, {study: judge_all(study, files) for study in catalogue.studies()}


def _pictures(files: Files) -> dict[Path, Path]:
    """The picture of each result that has one: as `draw` makes it of one's own, or beside it."""
    paths = [path for presets in files.values() for path in presets.values()]
    drawn = {path: drawn_to(path) if path.parents[1] == OWN else path.with_suffix(".png") for path in paths}
    return {path: picture for path, picture in drawn.items() if picture.exists()}


def _renewed(readme: Path, found: Found, pages: Path) -> str:
    """A README's text with the table between <!-- studies --> and <!-- /studies --> made again."""
    head, begins, rest = readme.read_text("utf-8").partition("<!-- studies -->\n")
    _, ends, tail = rest.partition("<!-- /studies -->")
    if not begins or not ends:
        raise ValueError(f"{readme} has no <!-- studies --> with <!-- /studies --> after it to write between.")
    return f"{head}{begins}" + "\n".join(study_rows(found, readme, pages)) + f"\n{ends}{tail}"


def _read(values: flags.FlagValues, argv: Sequence[str], doc: str) -> bool:
    """Reads a command line; False if only help was asked for and shown."""
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(list(argv))
    except flags.Error as error:
        _end(argv, str(error))
    if values.help:
        show(f"{doc}\n\n{values.get_help()}")
    elif len(rest) > 1:
        _end(argv, f"{rest[1]!r} is not a flag. --help lists them.")
    return not values.help


def _end(argv: Sequence[str], sentence: str) -> None:
    say(f"{argv[0]}: {sentence}")
    sys.exit(1)
