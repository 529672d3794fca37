"""What rules share: records, parameters, terms in force, references, consent, lots, clearing legs, grants,
due work.
"""
