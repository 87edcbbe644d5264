"""Measurements on trained networks that the paper's tables do not hold: embeddings, gradients,
permuted frame orders."""
