"""The table of contents: settings → platform → modules, by hand, in order.

`house.py` puts it together from what the settings name: engines (`engines.py`) and policies (`policies.py`).
"""

from tenfold.assembly.contents import MODULES, migration_sources
from tenfold.assembly.house import House
from tenfold.assembly.ties import FeedTies

__all__ = ["MODULES", "FeedTies", "House", "migration_sources"]
