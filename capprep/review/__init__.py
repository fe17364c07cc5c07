"""The review: what was made of the pictures, as one file that a browser shows."""
