"""From LEDGER to the FEED stream: what each institution receives, each event once."""
