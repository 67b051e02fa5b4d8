"""A sharing graph and a module in; the units that `fully_shard` takes, and the sharded module, out."""
