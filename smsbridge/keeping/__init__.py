"""What is taken out of the house and brought back: backups, and an owner's history."""
