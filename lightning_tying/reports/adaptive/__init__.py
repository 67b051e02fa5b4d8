"""Decisions about sharing in; the lines, the picture and the page that tell them in their order out."""
