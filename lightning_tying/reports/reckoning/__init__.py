"""A sharing graph and facts about a run in; parameters, bytes, traffic and FLOPs, before and after, out."""
