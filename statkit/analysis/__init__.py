"""Measurements on trained networks that are not in the paper's tables: embeddings, gradients,
permuted frame orders."""
