"""Impact preview: the real history told once more as if something had been decided, before anybody votes.

- `span`: from where on, and which proposal, found from the end of the log backwards;
- `fork`: a second state beside the replayed one, in which the actions were enacted;
- `flips`: the outcomes that come out otherwise;
- `figures`: what each participant's points, liability, fees and position come to;
- `run`: one replay of the log and its fork, block by block;
- `report`: what was found, as canonical JSON; `chart` as a picture, `words` and `proposed` for people.

It imports the core, the contracts and the auditor's verifier, and writes nothing: a ledger is read as
`commonpoint verify` reads it.
"""
