"""How the readers of the drawn world are trained: pictures with known truth in, weights in the package's layout out."""
