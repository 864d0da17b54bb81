"""The claims of the NANDA study on sequences and digits: NANDA-9, 10, 12, 13 and 14."""

CLAIMS = {}
