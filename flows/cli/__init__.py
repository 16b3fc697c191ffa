"""The command line: one file per group of commands, their options, and the tables that they print."""
