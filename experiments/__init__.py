"""Experiments, a folder for each study; installed as `grokjax.experiments`."""
