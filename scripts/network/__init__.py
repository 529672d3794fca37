"""`scripts/devnet`: several organisations' nodes on one machine, and the demo's merchants at their tills.

The organisations, their terms, the purchases and the verbs are the demo's (`scripts.year`); what is here
starts the nodes, tells the purchases in real time, and compares what the nodes come to.
"""
