"""The HTTP API of docs/spec/api.md: thin routes over the core, and who may read what on every id."""
