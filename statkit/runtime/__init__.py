"""Cache, progress bars, devices and processes: tools of every computation that no equation names.

This file imports nothing: a process that only decodes must start without PyTorch.
"""
