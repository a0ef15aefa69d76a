"""The plugin system: hookspecs, the records that plugins yield, and the manager that finds them."""

import pluggy

PROJECT = "heterodyne"
"""The pluggy project and the only entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
