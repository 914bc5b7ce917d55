"""Report files: what scanners leave behind, uploaded in place of a pull and stored like one."""
