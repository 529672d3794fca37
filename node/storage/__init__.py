"""The disk: a log that is durable when it says so, and state and look-ups folded from it behind a mark."""
