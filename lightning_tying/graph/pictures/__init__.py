"""A graph as text, Mermaid, DOT and HTML."""
