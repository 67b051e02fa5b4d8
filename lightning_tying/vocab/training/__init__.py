"""Training of vocabularies: texts of each language go in, a tokenizer comes out; one file for each strategy."""
