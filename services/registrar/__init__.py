"""The registrar: commands in, events appended, answers out."""
