"""What a run tells of its savings: a report in; tables, files and loggers' values out."""
