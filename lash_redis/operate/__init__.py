"""What operators see and ask, below every user interface: explanations, listings, requests, views of them as data."""
