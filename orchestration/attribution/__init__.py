"""Fits what channels are worth from the paths that people took: Markov chains and Shapley values."""
