"""Per-use gradients measured at sampled steps in; numbers, a history, advice, pictures and a report out."""
