"""After each commit: drift, the report of matured nights, the challenger against the champion."""
