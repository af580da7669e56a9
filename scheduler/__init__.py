"""Acts because time passed. Nothing depends on it having run: it only writes down what the dates decide."""
