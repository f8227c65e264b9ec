"""The connections to the server: where it is, how one call is made, and what its replies mean."""
