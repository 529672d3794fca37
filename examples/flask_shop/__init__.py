"""A cinema's web shop, as an example of the SDK in an order system."""
