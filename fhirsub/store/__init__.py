"""Floor 2: what is kept, in SQLite or PostgreSQL."""
