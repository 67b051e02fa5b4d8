"""Functions from graph to graph: checks refuse and never change, the others change and never refuse."""
