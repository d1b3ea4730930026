"""From the source loop to tile operations of one machine family, with costs."""
