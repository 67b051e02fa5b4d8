"""What this release cannot lower yet is refused entry by entry: a site can read a bare parameter and nothing else."""

from __future__ import annotations

from lightning_tying.spec.schema import Entry, Preset, Tie


def explain_unlowerable(entry: Entry) -> str | None:
    """Why an entry needs more than aliases; None for an entry that aliases can do."""
    if isinstance(entry, Preset):
        name = entry.arguments.get("name", "")
        return f"Preset `{name}` is not read by this release. Write its equations out, such as O = X[name]."
    if isinstance(entry, Tie):
        return None
    if entry.penalty is not None:
        return "`penalty` is not carried out by this release. Leave the entry out, or bind its sites."
    if entry.value.bare is None:
        reason = f"`{entry.value.text}` needs a parametrization, and this release makes aliases only"
        return f"{reason}. Write a bare name, such as W[l]."
    return None
