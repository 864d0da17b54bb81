"""The verdicts of a report, kept beside its results: to list them, nothing need be judged again."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from grokjax.claims import words
from grokjax.claims.judge import Files, Judgement
from grokjax.claims.rules import registry
from grokjax.results.measures import measures_of

KEPT = "verdicts.json"
JUDGES = ("grokjax.claims", "grokjax.analysis", "grokjax.results")
"""The packages whose code verdicts depend on, besides that of their study."""


def in_words(study: str, judgements: Sequence[Judgement]) -> dict[str, str]:
    """The verdict of each claim of a study, such as 'partly (scaled)'."""
    return {name: words.verdict(words.best(rule, judgements)) for name, rule in registry(study).items()}


def keep(folder: Path, found: Mapping[str, Sequence[Judgement]], files: Files) -> None:
    """Writes the verdicts of some studies into the folder of the results that they were judged on.

    A folder that cannot be written to is left alone.

    Args:
      folder: with the results.
      found: judgements by study.
      files: results by experiment and preset.
    """
    entries = {
        study: {"of": digest(study, files), "verdicts": in_words(study, judgements)}
        for study, judgements in found.items()
    }
    with contextlib.suppress(OSError):
        (folder / KEPT).write_text(json.dumps(entries, indent=1) + "\n", "utf-8")


def read(folders: Sequence[Path], study: str, files: Files) -> dict[str, str] | None:
    """The verdict of each claim of a study as a report left it; None if results or rules have changed since.

    Args:
      folders: where reports may have left them.
      study: whose claims.
      files: results by experiment and preset, those of today.
    """
    of = None
    for folder in folders:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            entry = json.loads((folder / KEPT).read_text("utf-8"))[study]
            of = of or digest(study, files)
            if entry["of"] == of:
                return dict(entry["verdicts"])
    return None


def digest(study: str, files: Files) -> str:
    """A hash of all that the verdicts of a study depend on: its results, its claims, the code that judges them."""
    total = hashlib.sha256()
    results = {
        f"{name}-{preset}{'.measures' * i}": path
        for name, presets in files.items()
        if name.startswith(f"{study}/")
        for preset, result in presets.items()
        for i, path in enumerate((result, measures_of(result)))
        if path.exists()
    }
    packages = [*JUDGES, f"grokjax.experiments.{study}"]
    code = {f"{package}/{file.name}": file for package in packages for file in resources.files(package).iterdir()}
    code = {name: file for name, file in code.items() if name.endswith((".py", ".toml"))}
    for name, file in sorted((results | code).items(), key=lambda item: item[0]):
        content = file.read_bytes()
        total.update(f"{name} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()
