"""Webhooks: entries delivered to addresses that participants named, signed, in order, until they are taken.

What is delivered to whom is the feed's business (`node.feed`); here it is only carried out of the house.
"""
