"""The commands of `lightning-tying`, one file each."""
