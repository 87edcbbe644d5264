"""The paper's figures, one file each, as pure functions: parameters in, a Figure out."""
