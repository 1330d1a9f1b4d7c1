"""Report what a run found: metrics.json, pictures, tables and report.html."""
