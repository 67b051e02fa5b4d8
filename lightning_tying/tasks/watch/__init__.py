"""A LightningModule and a spec in; the same module, tied and checked at each of Lightning's hooks, out."""
