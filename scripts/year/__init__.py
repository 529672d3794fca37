"""The demo: a year of real purchases told to a real alliance.

`purchases` reads the data set, `alliance` names the merchants and their terms, `story` decides what happens
in each hour, `drive` sends it through the merchant SDK to a node of its own, `report` shows what came of it.
`charter` says how the alliance decides, `plans` what and when, `affairs` has it done week by week;
`chronicle` reads in the end what the log says of that, and `minutes` shows it.
"""
