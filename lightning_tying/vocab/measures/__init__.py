"""How a vocabulary serves each language and what two languages share: texts and a way to encode in, numbers out."""
