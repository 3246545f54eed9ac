"""From the store to the LEDGER stream: position p becomes sequence p."""
