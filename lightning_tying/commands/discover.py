"""`lightning-tying discover`: a run config goes in, the ties that its model has come out as YAML."""

from __future__ import annotations

from lightning_tying.api import discover as discover_ties
from lightning_tying.commands.meta_model import make_meta_model
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.tasks.tied_module import TiedModule

USAGE = """\
usage: lightning-tying discover --config RUN.yaml [--KEY VALUE …]

Prints the ties that the model of a run config has, those that its own code makes included, as a sharing spec.
`--model.sharing null` leaves out the config's own spec."""


def discover(words: list[str]) -> int:
    """Print the ties of a run config's model.

    Raises:
        ConfigError: the config is wrong.
        SpecError: its sharing spec is wrong.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    model = make_meta_model(words)
    graph = discover_ties(model.tied_network if isinstance(model, TiedModule) else model)
    print(dump_spec(graph.to_spec()) if graph.groups else "# no parameter is read at two sites")
    return 0
