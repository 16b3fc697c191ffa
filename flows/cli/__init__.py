"""The command line: one file per group of commands, their options, and the tables that they print."""

from flows.own_packages import require_own_packages

require_own_packages()
