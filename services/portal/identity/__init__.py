"""Who a request comes from, for which institution it acts, and what it may do."""
