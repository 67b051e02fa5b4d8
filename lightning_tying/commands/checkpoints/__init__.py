"""`lightning-tying checkpoint`: a command's words in; a report, or another checkpoint, out."""
