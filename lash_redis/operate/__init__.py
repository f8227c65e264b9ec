"""What operators see and ask for, as data: explanations, counts, requests, views. Every user interface stands on it."""
