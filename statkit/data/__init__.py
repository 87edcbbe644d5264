"""Clips, their stored frames, optical flow, and a single own clip.

This file imports nothing: a process that only decodes must start without PyTorch.
"""
