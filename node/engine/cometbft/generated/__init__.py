"""Classes of ABCI messages, as scripts/generate_abci wrote them. Nothing here is edited by hand."""
