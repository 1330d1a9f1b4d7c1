"""What a run found, as metrics.json, pictures, tables and report.html."""
