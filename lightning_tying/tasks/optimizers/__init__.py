"""A tied module in; its optimizers and schedules, each parameter once, out."""
