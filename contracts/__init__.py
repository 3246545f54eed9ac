"""What may be said: data only, frozen, imports nothing of ours."""
