"""A node as its owner's tools meet it: over HTTP, believed only as far as it proves itself.

- `connection`: requests, with a token where one is needed, asked again while the node is busy;
- `tokens`: a token asked for with a participant's own key;
- `chain`: which chain it is, from genesis leaves that hash to it;
- `submission`: transactions sent, and answers that prove what came of them.

Merchants' systems use the SDK, which keeps an outbox and fails over; these are the few calls that
`commonpoint bundle`, `import` and `shadow` need.
"""
