"""Settings: typed, frozen, read once, from `tenfold.toml`, `TENFOLD_…` variables and `…_FILE` secrets.

    settings = with_secrets(load(config, {"http.port": port}))

Only the assembly and the entries read them; every part gets its share as plain values.
"""

from tenfold.settings.catalogue import Setting, describe
from tenfold.settings.faults import BadSettings
from tenfold.settings.markdown import markdown
from tenfold.settings.reading import load
from tenfold.settings.root import Settings
from tenfold.settings.secrets import with_secrets

__all__ = ["BadSettings", "Setting", "Settings", "describe", "load", "markdown", "with_secrets"]
