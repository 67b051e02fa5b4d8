"""A tied module and a change of its layers in; the module changed with its ties out, or a refusal."""
