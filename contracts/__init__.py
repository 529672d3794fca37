"""What points are and who owes whom: an alliance's rules, and nothing about how they are stored or sent."""
