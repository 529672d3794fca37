"""Rules that were superseded, by the last version of the rulebook in which they held.

Blocks executed under that version are replayed by these files for as long as anybody keeps a log. So a file
in here is never edited, not even for style: it decides as it did on its last day. A rule that changes comes
here whole, its new form stands in `contracts/rules/`, and `contracts/rulebook.py` says which version has
which. What a frozen rule imports must go on deciding the same; where a mechanic changes, it is frozen too.
"""
