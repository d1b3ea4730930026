"""Reports of a modelled launch: text for the terminal, one HTML page, a trace of one SM, and two launches compared."""
