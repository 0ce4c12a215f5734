"""The history of the tables; see :mod:`fhirsub.store.migrate`. Installed as ``fhirsub.migrations``."""
