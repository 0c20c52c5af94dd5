"""The fault campaign: every cloud lives and dies by a script while everything goes wrong, in virtual time."""
