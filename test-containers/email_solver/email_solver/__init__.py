"""Answers a flight school's e-mail: fetch, classify, extract, draft, send, over real IMAP and SMTP."""
