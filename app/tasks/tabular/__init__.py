"""Tables in CSV files: yes or no, one of several classes, or a number, told from the numbers in the other columns."""
