"""What every section of the settings is: frozen, closed to unknown names, and silent about its values in errors."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)
