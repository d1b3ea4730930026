"""Machine descriptions: one TOML file each, every number with its source."""
