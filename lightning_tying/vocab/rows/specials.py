"""Special tokens of several vocabularies: their texts go in, the name under which they meet comes out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lightning_tying.errors import ConfigError

# what other packages call them; a tag, `[CLS]` and the like keep their own names
ROLES: Mapping[str, tuple[str, ...]] = {
    "<pad>": ("<pad>", "[PAD]", "<PAD>", "<|pad|>", "<|endofpad|>"),
    "<eos>": ("<eos>", "</s>", "[EOS]", "<EOS>", "<|eos|>", "<|endoftext|>", "<|end_of_text|>"),
    "<bos>": ("<bos>", "<s>", "[BOS]", "<BOS>", "<|bos|>", "<|begin_of_text|>"),
    "<unk>": ("<unk>", "[UNK]", "<UNK>", "<|unk|>"),
    "<mask>": ("<mask>", "[MASK]", "<MASK>", "<|mask|>"),
}
_ROLE_OF = {text: role for role, texts in ROLES.items() for text in texts}


def name_specials(found: Mapping[str, int]) -> dict[str, int]:
    """The special tokens of one vocabulary by the name under which they meet those of others.

    `[PAD]` meets `<pad>`, `</s>` meets `<eos>`. Where a vocabulary has two for one role, the one that is spelled as
    the role takes it, else the first; the other keeps its own name.

    Args:
        found: text → id.

    Returns:
        Name → id; `<pad>` and `<eos>` first where there are any.
    """
    named: dict[str, int] = {}
    for text, id in sorted(found.items(), key=lambda item: (item[0] not in ROLES, item[1])):
        role = _ROLE_OF.get(text, text)
        named[text if role in named else role] = id
    order = {role: place for place, role in enumerate(ROLES)}
    return dict(sorted(named.items(), key=lambda item: (order.get(item[0], len(order)), item[1])))


def check_specials(members: Mapping[str, NDArray[np.int32]], specials: Mapping[str, Mapping[str, int]]) -> None:
    """Refuse special tokens that do not meet, or that meet something else.

    Args:
        members: by the member's name, the row of each id.
        specials: by the member's name, the id of each special token.

    Raises:
        ConfigError: two special tokens of one name have two rows; an id that is not one of that name reads the row;
            a member or an id does not exist.
    """
    rows: dict[str, tuple[str, int]] = {}
    for member, names in specials.items():
        for name, id in names.items():
            if member not in members or not 0 <= id < len(members[member]):
                raise ConfigError(f"The special token {name!r} of the member {member!r} has the id {id}, which is not.")
            row = int(members[member][id])
            first, known = rows.setdefault(name, (member, row))
            if known != row:
                raise ConfigError(
                    f"The special token {name!r} has row {known} in {first!r} and row {row} in {member!r}; special "
                    "tokens of one name must read one row."
                )
    if len({row for _, row in rows.values()}) < len(rows):
        raise ConfigError("Two special tokens of different names read one row.")
    taken = np.array(sorted(row for _, row in rows.values()), np.int64)
    for member, own in members.items():
        special = set(specials.get(member, {}).values())
        wrong = [int(id) for id in np.flatnonzero(np.isin(own, taken)) if int(id) not in special]
        if specials and wrong:
            raise ConfigError(
                f"The id {wrong[0]} of {member!r} reads row {own[wrong[0]]}, which belongs to a special token, and is "
                "none."
            )
