"""Whether a service does its work: asked from beside it, by whatever supervises containers."""
