"""Policies that adjust sharing while a model trains: what was measured goes in, splits and joins come out."""
