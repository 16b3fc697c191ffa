"""The populations of the macro labelled_counts: all scored rows, and those of entities not known to be
compromised on their date.
"""

ALL, NEW = "all", "new"
