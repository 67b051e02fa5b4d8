"""What the callback ParameterSync is made of: each kind of sync, its copies, its traffic, its part of a checkpoint."""
