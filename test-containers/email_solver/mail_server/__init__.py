"""A separate mail server: Exim accepts and delivers, Dovecot serves the mailboxes; no root, no system files."""
