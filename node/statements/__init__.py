"""Statements of settlement, recomputed from the log alone by whoever can read it, and shown in any form.

- `sources`: where a log is read: a data directory, a folder of tiles, a node;
- `log`: its leaves, each found in the tree that the log has signed;
- `windows`: what the leaves add up to, window by window, held against the hashes in the log;
- `decisions`, `unpaid`: what was decided about them, and what an abort or a default leaves to be paid;
- `checking`: a statement that came from elsewhere, worked out again from its own lines;
- `view`, `orders`: one participant's side of it, and the orders behind its lines;
- `wording`, `tables`, `paper`: what people read, in Chinese and in English;
- `spreadsheet`, `page`, `document`, `columnar`, `payments`: CSV, HTML, PDF, Parquet, ISO 20022 pain.001;
- `making`: all of it put together.

A statement shows what the entries say. That the entries follow the rules is for `commonpoint verify`.
"""
