"""What is done about it: one package a process, and the rules they share."""
