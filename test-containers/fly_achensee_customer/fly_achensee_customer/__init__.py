"""Answers a paragliding school's customers: a governor and three specialists, recorded as they work."""
