"""Figures, a folder for each study; installed as `grokjax.figures`."""
