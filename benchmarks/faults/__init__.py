"""The fault campaign: four clouds live and die by a script while everything goes wrong, in virtual time."""
