"""The auditor: what was recorded, gone over again, and every copy of it compared."""
