"""Checkpoint files in; what they hold, other checkpoint files and exports out. Knows torch and nothing of Lightning."""
