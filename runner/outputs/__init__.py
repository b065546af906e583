"""What people and programs get to see: texts, JSON, progress."""
