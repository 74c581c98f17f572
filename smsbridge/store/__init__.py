"""Where messages wait: one SQL text, written as transactions that any driver can run."""
