"""The command line: thin verbs over the rooms below. Nothing imports it."""
