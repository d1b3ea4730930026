"""Reports: of a schedule, each file drawing one of the `formats`, and of a modelled launch."""
