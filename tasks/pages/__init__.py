"""HTML pages: reports, model cards, their charts and templates."""
