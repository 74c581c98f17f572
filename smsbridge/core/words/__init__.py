"""All that is said to people, in each language: the only place where such words stand."""
