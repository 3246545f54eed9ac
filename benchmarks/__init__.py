"""What it costs, as shares of the raw limit of the machine it runs on."""
