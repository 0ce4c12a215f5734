"""The R4 definitions as compact data: structures and search parameters; where they come from is told in README.rst."""
