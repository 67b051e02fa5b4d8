"""Plugins of Lightning's Trainer: how a checkpoint reaches the disk."""
