"""How a use reads: expressions as data, the six primitives that compute them, and the catalogue on top."""
