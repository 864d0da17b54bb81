"""Arrays in a page: what a browser unpacks by itself, in a few bytes a number.

A tree of dictionaries, lists, texts and arrays becomes one text:

    every array -> its bytes, one after the other; in its place in the tree, where they lie
    length of the tree as JSON, the JSON, the bytes -> gzip -> base64

Numbers of float64 keep every bit. Those of float32 are curves, the bulk of a page: they are rounded to `BITS` binary
digits, a relative error of at most 1.2e-4, which no screen shows and a tooltip shows in its fourth digit at most; then
the difference of each to the one before it, as integers, and the first bytes of all, the second bytes of all, ...
Curves of three shipped sweeps so take 8.2 to 10.2 bits a number before base64; rounded but in their own order 9.6 to
12.9.
"""

import base64
import gzip
import json
import struct
from typing import Any

import numpy as np
from jaxtyping import Float32

BITS = 12
"""Binary digits that a float32 keeps after its first."""


def packed(tree: Any) -> str:
    """The text of a tree; see above.

    Raises:
      TypeError: for an array that is neither float32 nor float64, or what JSON has not.
    """
    pieces: list[bytes] = []
    shell = json.dumps(_emptied(tree, pieces), allow_nan=False, separators=(",", ":")).encode()
    whole = b"".join([struct.pack("<I", len(shell)), shell, *pieces])
    return base64.b64encode(gzip.compress(whole, 9, mtime=0)).decode()


def unpacked(text: str) -> Any:
    """The tree of a text, as the page's script reads it."""
    whole = gzip.decompress(base64.b64decode(text))
    (length,) = struct.unpack("<I", whole[:4])
    return _filled(json.loads(whole[4 : 4 + length]), whole[4 + length :])


def rounded(values: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Numbers to the nearest of `BITS` binary digits; NaN and infinities as they are."""
    values = np.ascontiguousarray(values)
    bits, dropped = values.view(np.uint32), 23 - BITS
    near = (bits + ((1 << (dropped - 1)) - 1) + ((bits >> dropped) & 1)) >> dropped << dropped
    return np.where(np.isfinite(values), near.astype(np.uint32).view(np.float32), values)


def _emptied(tree: Any, pieces: list[bytes]) -> Any:
    """The tree with the place of its bytes instead of each array; the bytes are added to the pieces."""
    if isinstance(tree, dict):
        return {name: _emptied(branch, pieces) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [_emptied(branch, pieces) for branch in tree]
    if not isinstance(tree, np.ndarray):
        return tree
    if tree.dtype not in (np.float32, np.float64):
        raise TypeError(f"An array of {tree.dtype} cannot be packed, only of float32 and float64.")
    start = sum(map(len, pieces))
    pieces.append(_planes(rounded(tree)) if tree.dtype == np.float32 else tree.astype("<f8").tobytes())
    return {"array": tree.dtype.name, "start": start, "shape": list(tree.shape)}


def _planes(values: Float32[np.ndarray, "..."]) -> bytes:
    """Differences along the last axis, byte by byte."""
    bits = values.view(np.uint32)
    steps = np.diff(bits, axis=-1, prepend=np.uint32(0))  # modulo 2^32
    return steps.astype("<u4").reshape(-1, 1).view(np.uint8).T.tobytes()  # [4, numbers]


def _filled(tree: Any, raw: bytes) -> Any:
    """The tree with its arrays in their places."""
    if isinstance(tree, list):
        return [_filled(branch, raw) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    if "array" not in tree:
        return {name: _filled(branch, raw) for name, branch in tree.items()}
    shape, dtype = tree["shape"], np.dtype(tree["array"])
    size = int(np.prod(shape)) * dtype.itemsize
    mine = np.frombuffer(raw[tree["start"] : tree["start"] + size], np.uint8)
    if dtype == np.float64:
        return mine.view("<f8").reshape(shape)
    steps = np.ascontiguousarray(mine.reshape(4, -1).T).view("<u4").reshape(shape)
    return np.cumsum(steps, axis=-1, dtype=np.uint32).view(np.float32)
