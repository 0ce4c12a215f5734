"""One file a migration, named NNNN_verb_noun.py; a shipped one never changes."""
