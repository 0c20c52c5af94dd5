"""Credentials: from an account's fields, the environment, and its cloud's profiles, pod identities and roles."""
