"""Cache, progress bars, devices and processes: what every computation needs and no equation names.

Nothing is imported here: a process that only decodes must start without PyTorch.
"""
