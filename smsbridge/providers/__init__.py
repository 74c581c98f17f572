"""Carriers: one module each, which knows its carrier and nothing else."""
