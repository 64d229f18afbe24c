"""Client of the PostgreSQL extension hartonomous.

import hartonomous

with hartonomous.connect("dbname=hartonomous") as client:
    for result in client.search("how do I reclaim disk space", k=3):
        print(result.score, result.source_uri)
"""

from hartonomous._version import VERSION as __version__
from hartonomous.client import Client, connect
from hartonomous.errors import Error

__all__ = ["Client", "Error", "__version__", "connect"]
