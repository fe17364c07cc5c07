"""A drawn picture world with known truth, and tiny models of it, so that everything runs offline."""
