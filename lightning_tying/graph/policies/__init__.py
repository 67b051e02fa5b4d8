"""How each shared parameter starts and trains: drafts of groups in, groups out."""
