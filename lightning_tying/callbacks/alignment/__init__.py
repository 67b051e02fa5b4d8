"""How near translations stand in the tables of two languages."""
