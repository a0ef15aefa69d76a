"""Where independent tasks run: one after another, side by side on this machine, on a dask cluster.

Whatever the executor, every task runs in a fresh process of its own (`heterodyne.executors.worker`) with a
fixed number of threads, so its result does not depend on the executor. Processes that keep data from one question to
the next (`heterodyne.executors.keepers`) are started the same way.
"""
