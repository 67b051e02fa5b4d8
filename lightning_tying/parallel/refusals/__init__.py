"""A tied module and a strategy that would break its ties in; one error that says what to do out."""
