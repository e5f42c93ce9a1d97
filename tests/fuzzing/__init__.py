"""The promises that the fuzzers hold the program to, over what they begin with and what they found."""
