"""What is remembered: bytes, versions, positions, digests; no domain."""
