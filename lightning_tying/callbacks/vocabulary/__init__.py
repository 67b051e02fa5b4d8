"""What a run tells of its vocabulary: data and figures in; figures and loggers' values out."""
