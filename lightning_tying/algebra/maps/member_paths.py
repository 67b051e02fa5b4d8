"""The path of a map as written in; the file, and the member of it that is read, out."""

from __future__ import annotations

_SIGN = "#"
_PLAIN = (".json", ".safetensors")


def split_member(path: str) -> tuple[str, str | None]:
    """Part `vocab/rows.safetensors#de` at its last `#`.

    A path that ends in .json or .safetensors is a whole file, whatever signs its name has.

    Args:
        path: as written, captures replaced.

    Returns:
        The file's path and the member; None where the whole file is one map.
    """
    file, sign, member = path.rpartition(_SIGN)
    if not sign or path.lower().endswith(_PLAIN) or not file.lower().endswith(_PLAIN):
        return path, None
    return file, member
