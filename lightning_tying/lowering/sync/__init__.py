"""Sharing in time, as functions on tensors: values of sites go in, what they are after a round comes out."""
