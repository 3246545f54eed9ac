"""The portal: the ledger over HTTP, for partner institutions, their persons and their auditors."""
