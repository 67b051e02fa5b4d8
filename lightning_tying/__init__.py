"""Say which parameters a model shares; train the smaller model."""
