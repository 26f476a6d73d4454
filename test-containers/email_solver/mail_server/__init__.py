"""A mail server of its own: Exim takes and delivers, Dovecot shows the mailboxes; no root, no system files."""
