"""A report of a checkpoint goes in, a text for people comes out."""

from __future__ import annotations

from lightning_tying.checkpoints.describe import CheckpointReport, SavedTensor


def report_text(report: CheckpointReport) -> str:
    """What a checkpoint holds, in lines: the run, the sizes, the groups, the spec."""
    return "\n".join([*_head(report), *_groups(report), *_spec(report)])


def _head(report: CheckpointReport) -> list[str]:
    saved = report.gross_bytes - report.unique_bytes
    part = f" ({100 * saved / report.gross_bytes:.1f} % saved)" if report.gross_bytes else ""
    lines = [
        f"checkpoint   {report.path} ({report.kind}, {report.file_bytes:,} bytes)",
        f"progress     epoch {_known(report.epoch)}, step {_known(report.global_step)}, "
        f"written by Lightning {report.lightning}",
        f"weights      {len(report.tensors):,} tensors under {_count_names(report):,} names: "
        f"{report.unique_bytes:,} bytes; {report.gross_bytes:,} without sharing{part}",
    ]
    states = ", ".join(f"{count:,} parameters" for count in report.optimizer_tensors) or "none"
    lines.append(f"optimizer    {states}" + (f", {report.optimizer_bytes:,} bytes" if report.optimizer_bytes else ""))
    lines.append(f"callbacks    {', '.join(report.callbacks) or 'none'}")
    lines.append(f"also         {', '.join(report.keys) or 'nothing'}")
    twice = [tensor for tensor in report.tensors if tensor.copies > 1]
    if twice:
        lost = sum(tensor.bytes * (tensor.copies - 1) for tensor in twice)
        lines.append(
            f"stored more than once: {len(twice):,} tensors, {lost:,} bytes (`checkpoint consolidate` or a new save)"
        )
    return lines


def _groups(report: CheckpointReport) -> list[str]:
    if not report.groups:
        return ["", "no tensor has more than one name"]
    width = max(len(group.name) for group in report.groups)
    return ["", "sharing groups", *(f"  {_group_line(group, width)}" for group in report.groups)]


def _group_line(group: SavedTensor, width: int) -> str:
    shown = ", ".join(group.aliases[:3])
    more = f" and {len(group.aliases) - 3} more" if len(group.aliases) > 3 else ""
    return f"{group.name:<{width}}  {list(group.shape)} {group.dtype}, {group.bytes:,} bytes = {shown}{more}"


def _spec(report: CheckpointReport) -> list[str]:
    if not report.spec:
        return ["", "no sharing spec"]
    return ["", f"spec (sha256 {report.spec_hash})", *(f"  {line}" for line in report.spec.rstrip().splitlines())]


def _count_names(report: CheckpointReport) -> int:
    return sum(1 + len(tensor.aliases) for tensor in report.tensors)


def _known(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
