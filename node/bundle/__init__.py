"""A bundle: everything that answers a dispute about one order, in one file that a stranger verifies offline.

- `file`: what the file holds, byte for byte;
- `naming`: which entries belong to an order, by the references they name;
- `sources`, `directory`, `served`: where the entries are read from;
- `making`: an order gathered into a bundle;
- `keyring`: keys that are proven back to the genesis, and which entries prove them;
- `verifying`: the checks, in numbered steps;
- `consents`: the very text that a member signed;
- `story`: what happened, what is still open, who owes whom.

A bundle shows that these entries stand in the ledger and who signed them. It cannot show that there are no
others, nor that the rules were applied rightly: that is what `commonpoint verify` executes again.
"""
