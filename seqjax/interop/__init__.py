"""Weights and embeddings from and to other libraries, in numpy."""
