"""A sharing graph and facts about the run in; a sharding plan, its application, or a clear refusal out."""
