"""The frame of every HTML page that is written here: one file, which loads nothing from elsewhere."""

import html

FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def document(title: str, style: str, body: str) -> str:
    """A whole page.

    Args:
      title: as text, which is escaped here.
      style: CSS.
      body: HTML, with its scripts.
    """
    return FRAME.format(title=html.escape(title), style=style, body=body)
