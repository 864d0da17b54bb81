"""Results that ship, a folder for each study; installed as `grokjax.reference`."""
