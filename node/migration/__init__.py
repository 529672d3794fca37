"""From an earlier system to the ledger: opening balances brought over, and both systems compared while they
run side by side.

- `table`: CSV files as systems and spreadsheets write them, line by line;
- `cells`: what a cell must be to be a number, a day, a customer;
- `members`: the custodian's own book of who has which pseudonym;
- `balances`: lines of opening balances, checked before anything is sent;
- `importing`: members and balances sent, as often as it takes, once;
- `exports`, `movements`, `comparison`: an earlier system's day held against the ledger's.

Customer numbers and names never leave the machine. What goes on the ledger is random.
"""
