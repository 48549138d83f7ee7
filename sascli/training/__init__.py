"""Training: settings to a finished run directory, many runs together, their resumption."""
