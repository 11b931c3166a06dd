"""Tables and figures of a run as files of other programs: CSV, Parquet, LaTeX, Markdown, PNG, SVG, pandas."""
