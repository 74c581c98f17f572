"""The HTTP side: the only package that serves HTTP."""
