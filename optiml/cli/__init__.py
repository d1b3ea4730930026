"""The `optiml` command, a module for each subcommand."""
