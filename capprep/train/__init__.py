"""Training a hypernetwork on a frozen base model from a manifest of pictures and texts."""
