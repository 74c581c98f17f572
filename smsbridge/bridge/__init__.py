"""The use cases between the two sides; no wire format on either of them."""
