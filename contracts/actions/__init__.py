"""Actions: what a vote does, one file a kind of decision, each as small as a rule.

An action reads a state and says what to write, or that it cannot be done. Whether it was decided, and whether
all of its proposal can be done, is the business of the rule that enacts it (`contracts.rules.governance`).
"""
