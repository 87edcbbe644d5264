"""Clips, their stored frames, optical flow, and one clip of one's own.

Nothing is imported here: a process that only decodes must start without PyTorch.
"""
