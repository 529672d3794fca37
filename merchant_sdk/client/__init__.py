"""The client: one core that knows no socket, an asynchronous face over it, a synchronous face over that."""
