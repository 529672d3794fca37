"""What points are and who owes whom: the rules of an alliance, and nothing about how they are stored or sent."""
