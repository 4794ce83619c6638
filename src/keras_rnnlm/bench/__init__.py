"""This machine's figures: its ceilings, our throughput and that of what else is there.

Every contestant runs in a process of its own (`worker`), since a process has one Keras
backend, one allocator and one set of threads. All processes of a comparison are alive
at the same time and take turns (`compare`), so that what else the machine does falls
on all of them alike.
"""
