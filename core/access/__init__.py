"""Who may do what: principals, roles, grants, tokens, and the gate in front of every view."""
