"""A perceptron on embedded features."""
